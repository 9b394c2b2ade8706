"""The API reference as one HTML page, made from the OpenAPI document. Pure; the page needs no script."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from server.errors import OUTWARD
from server.routes.reference_examples import curl, examples, pretty_json
from server.routes.reference_fields import FieldRow, Schema, field_rows, parameter_row, resolve
from server.routes.reference_style import STYLE

DEFAULT_URL = "http://127.0.0.1:8000"
GROUP_TITLES = {"openai": "OpenAI", "keys": "API keys"}
START_CALLS = {"/v1/inference/chat": "Native API", "/oai/v1/chat/completions": "OpenAI API"}
_NEEDS = re.compile(r"\s*Needs `([a-z_]+:[a-z_]+)`\.")
_METHODS = ("get", "post", "put", "patch", "delete")


class Operation(NamedTuple):
    """One route of the document. `permission` comes from the words "Needs `...`." in its description."""

    method: str
    path: str
    summary: str
    description: str
    permission: str | None
    spec: Schema

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method} {self.path}".lower()).strip("-")


def render(openapi: Mapping[str, Any], public_paths: frozenset[str] = frozenset()) -> str:
    """The whole page. `public_paths` need no key; the first of `servers` is the address in the examples."""
    base_url = str((openapi.get("servers") or [{"url": DEFAULT_URL}])[0]["url"]).rstrip("/")
    groups = _groups(openapi)
    info = openapi["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    sections = "".join(_group(name, found, openapi, base_url, public_paths) for name, found in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"{_navigation(groups)}<main><h1>{title}</h1>{_text(info.get('description', ''))}"
        f"{_start(groups, base_url)}{sections}{_errors()}</main></body></html>"
    )


def _groups(openapi: Mapping[str, Any]) -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = (methods[method].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(method, path, methods[method]))
    return groups


def _operation(method: str, path: str, spec: Schema) -> Operation:
    description = spec.get("description", "")
    needs = _NEEDS.search(description)
    return Operation(
        method=method.upper(),
        path=path,
        summary=spec.get("summary", ""),
        description=_NEEDS.sub("", description),
        permission=needs[1] if needs else None,
        spec=spec,
    )


def _navigation(groups: Mapping[str, Sequence[Operation]]) -> str:
    links = ['<li><a href="#start">Start</a></li>']
    for name, operations in groups.items():
        items = "".join(
            f'<li><a href="#{operation.anchor}">{_method(operation)} {_path(operation.path)}</a></li>'
            for operation in operations
        )
        links.append(f"<li><b>{_title(name)}</b><ul>{items}</ul></li>")
    links.append('<li><a href="#errors">Errors</a></li>')
    return f"<nav><ul>{''.join(links)}</ul></nav>"


def _start(groups: Mapping[str, Sequence[Operation]], base_url: str) -> str:
    operations = {operation.path: operation for group in groups.values() for operation in group}
    calls = "".join(
        f"<p>{title}:</p>{_code(_call(operations[path], base_url))}"
        for path, title in START_CALLS.items()
        if path in operations
    )
    return (
        '<section id="start"><h2>Start</h2>'
        "<p>Send an API key with every request: <code>Authorization: Bearer sgk_...</code>. "
        "The examples read it from <code>$KEY</code>.</p>"
        f"{calls}<p>For OpenAI's SDKs the base URL is <code>{escape(base_url)}/oai/v1</code>.</p></section>"
    )


def _group(
    name: str,
    operations: Sequence[Operation],
    openapi: Mapping[str, Any],
    base_url: str,
    public_paths: frozenset[str],
) -> str:
    articles = "".join(_article(operation, openapi, base_url, public_paths) for operation in operations)
    return f"<section><h2>{_title(name)}</h2>{articles}</section>"


def _article(
    operation: Operation, openapi: Mapping[str, Any], base_url: str, public_paths: frozenset[str]
) -> str:
    is_public = operation.path in public_paths
    if operation.permission:
        access = f"needs <code>{escape(operation.permission)}</code>"
    else:
        access = "no key needed" if is_public else "any key"
    more = "".join(
        f"<details><summary>Body: {escape(name)}</summary>{_code(pretty_json(body))}</details>"
        for name, body in examples(operation.spec)[1:]
    )
    return (
        f'<article id="{operation.anchor}">'
        f"<h3>{_method(operation)} {_path(operation.path)}</h3>"
        f'<p class="access">{access}</p>{_text(operation.description or operation.summary)}'
        f"{_table(_rows(operation.spec, openapi))}{_code(_call(operation, base_url, has_key=not is_public))}"
        f"{more}</article>"
    )


def _call(operation: Operation, base_url: str, *, has_key: bool = True) -> str:
    body = next((body for _, body in examples(operation.spec)), None)
    return curl(operation.method, base_url + operation.path, body, has_key=has_key)


def _rows(spec: Schema, openapi: Mapping[str, Any]) -> list[FieldRow]:
    rows = [parameter_row(parameter, openapi) for parameter in spec.get("parameters", ())]
    for content in spec.get("requestBody", {}).get("content", {}).values():
        rows += field_rows(resolve(content.get("schema", {}), openapi), openapi)
    return rows


def _table(rows: Sequence[FieldRow]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td><code>{_field(row.path)}</code>{' <em>required</em>' if row.is_required else ''}</td>"
        f"<td>{escape(row.kind)}</td><td>{_words(row)}</td></tr>"
        for row in rows
    )
    return (
        "<table><thead><tr><th>Field</th><th>Type</th><th>Meaning and limits</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _words(row: FieldRow) -> str:
    limits = f'<span class="limits">{escape("; ".join(row.limits))}</span>' if row.limits else ""
    return "<br>".join(filter(None, (_inline(row.description), limits)))


def _errors() -> str:
    rows = "".join(
        f"<tr><td><code>{code.value}</code></td><td>{outward.status}</td>"
        f"<td>{'' if outward.retry_after_s is None else f'after {outward.retry_after_s} s'}</td></tr>"
        for code, outward in OUTWARD.items()
    )
    return (
        '<section id="errors"><h2>Errors</h2><p>Branch on <code>error.code</code>, never on the text. '
        "On the OpenAI API a <code>VALIDATION_ERROR</code> has status 400.</p>"
        "<table><thead><tr><th>Code</th><th>Status</th><th>Try again, unless told otherwise</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _title(group: str) -> str:
    return escape(GROUP_TITLES.get(group, group.capitalize()))


def _method(operation: Operation) -> str:
    return f'<span class="method {operation.method.lower()}">{operation.method}</span>'


def _path(path: str) -> str:
    """Long paths may break after slashes and dots only."""
    return re.sub(r"([/.])", r"\1<wbr>", escape(path))


def _field(path: str) -> str:
    """The name stands out from where it is."""
    place, dot, name = path.rpartition(".")
    return f'<span class="limits">{_path(place + dot)}</span>{escape(name)}' if dot else escape(name)


def _text(text: str) -> str:
    """Paragraphs of plain text with `code` in it."""
    return "".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", text.strip()) if part)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"
