"""The API reference as one HTML page, made from the OpenAPI document. Pure; the page needs no script."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from server.errors import OUTWARD
from server.routes.reference import markup
from server.routes.reference.operation import Operation, Source, article, call, method
from server.routes.reference.style import STYLE

DEFAULT_URL = "http://127.0.0.1:8000"
GROUPS = {  # tag: title, in the order of the page; other tags follow
    "inference": "Inference",
    "openai": "OpenAI",
    "files": "Files",
    "models": "Models",
    "backends": "Backends",
    "keys": "API keys",
    "users": "Users",
    "health": "Health",
}
START_CALLS = {"/v1/inference/chat": "Native API", "/oai/v1/chat/completions": "OpenAI API"}
_METHODS = ("get", "post", "put", "patch", "delete")
Groups = Mapping[str, Sequence[Operation]]


def render(openapi: Mapping[str, Any], public_paths: frozenset[str] = frozenset()) -> str:
    """The whole page. `public_paths` need no key; the first of `servers` is the address in the examples."""
    base_url = str((openapi.get("servers") or [{"url": DEFAULT_URL}])[0]["url"]).rstrip("/")
    source = Source(openapi, base_url, public_paths)
    groups = _groups(openapi)
    info = openapi["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"{_navigation(groups)}<main><h1>{title}</h1>{markup.paragraphs(info.get('description', ''))}"
        f"{_start(groups, source)}{_sections(groups, source)}{_errors()}</main></body></html>"
    )


def _groups(openapi: Mapping[str, Any]) -> Groups:
    groups: dict[str, list[Operation]] = {tag: [] for tag in GROUPS}
    for path, methods in openapi["paths"].items():
        for name in _METHODS:
            if name in methods:
                tag = (methods[name].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(Operation(name.upper(), path, methods[name]))
    return {tag: operations for tag, operations in groups.items() if operations}


def _navigation(groups: Groups) -> str:
    links = ['<li><a href="#start">Start</a></li>']
    for tag, operations in groups.items():
        items = "".join(
            f'<li><a href="#{operation.anchor}">{method(operation)} {markup.path(operation.path)}</a></li>'
            for operation in operations
        )
        links.append(f"<li><b>{_title(tag)}</b><ul>{items}</ul></li>")
    links.append('<li><a href="#errors">Errors</a></li>')
    return f"<nav><ul>{''.join(links)}</ul></nav>"


def _start(groups: Groups, source: Source) -> str:
    operations = {operation.path: operation for group in groups.values() for operation in group}
    calls = "".join(
        f"<p>{title}:</p>{markup.block(call(operations[path], source))}"
        for path, title in START_CALLS.items()
        if path in operations
    )
    return (
        '<section id="start"><h2>Start</h2>'
        "<p>Send an API key with every request: <code>Authorization: Bearer sgk_...</code>. "
        "The examples read it from <code>$KEY</code>.</p>"
        f"{calls}<p>For OpenAI's SDKs the base URL is "
        f"<code>{escape(source.base_url)}/oai/v1</code>.</p></section>"
    )


def _sections(groups: Groups, source: Source) -> str:
    sections = []
    for tag, operations in groups.items():
        articles = "".join(article(operation, source) for operation in operations)
        sections.append(f"<section><h2>{_title(tag)}</h2>{articles}</section>")
    return "".join(sections)


def _errors() -> str:
    rows = [
        (f"<code>{code.value}</code>", str(outward.status), _pause(outward.retry_after_s))
        for code, outward in OUTWARD.items()
    ]
    table = markup.table(("Code", "Status", "Try again, unless told otherwise"), rows)
    return (
        '<section id="errors"><h2>Errors</h2><p>Branch on <code>error.code</code>, never on the text. '
        f"On the OpenAI API a <code>VALIDATION_ERROR</code> has status 400.</p>{table}</section>"
    )


def _pause(retry_after_s: int | None) -> str:
    return "" if retry_after_s is None else f"after {retry_after_s} s"


def _title(tag: str) -> str:
    return escape(GROUPS.get(tag, tag.capitalize()))
