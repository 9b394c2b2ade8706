"""One operation of the API reference: who may call it, its fields, a call, its answers. Pure."""

import re
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from server.routes.reference import markup
from server.routes.reference.examples import curl, examples, pretty_json, smallest_body
from server.routes.reference.fields import FieldRow, Schema, field_rows, parameter_row, resolve

_NEEDS = re.compile(r"\s*Needs `([a-z_]+:[a-z_]+)`\.")
_STREAM = "text/event-stream"


class Source(NamedTuple):
    """What the whole page is made from. `public_paths` need no key."""

    openapi: Schema
    base_url: str
    public_paths: frozenset[str]


class Operation(NamedTuple):
    """`spec` is the operation's own part of the document; who may call it stands in its description."""

    method: str
    path: str
    spec: Schema

    @property
    def anchor(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method} {self.path}".lower()).strip("-")

    @property
    def permission(self) -> str | None:
        needs = _NEEDS.search(self.spec.get("description", ""))
        return needs[1] if needs else None

    @property
    def text(self) -> str:
        return _NEEDS.sub("", self.spec.get("description") or self.spec.get("summary", ""))


def article(operation: Operation, source: Source) -> str:
    return (
        f'<article id="{operation.anchor}">'
        f"<h3>{method(operation)} {markup.path(operation.path)}</h3>"
        f'<p class="access">{_access(operation, source)}</p>{markup.paragraphs(operation.text)}'
        f"{_fields(operation, source)}{markup.block(call(operation, source))}"
        f"{''.join(_folds(operation))}</article>"
    )


def method(operation: Operation) -> str:
    return f'<span class="method {operation.method.lower()}">{operation.method}</span>'


def call(operation: Operation, source: Source) -> str:
    """The operation as a call for a shell, with its first example or the smallest body."""
    bodies = [body for _, body in examples(operation.spec)]
    body = bodies[0] if bodies else smallest_body(operation.spec, source.openapi)
    has_key = operation.path not in source.public_paths
    is_form = "multipart/form-data" in operation.spec.get("requestBody", {}).get("content", {})
    return curl(operation.method, source.base_url + operation.path, body, has_key=has_key, is_form=is_form)


def _access(operation: Operation, source: Source) -> str:
    if operation.permission:
        return f"needs <code>{escape(operation.permission)}</code>"
    return "no key needed" if operation.path in source.public_paths else "any key"


def _fields(operation: Operation, source: Source) -> str:
    rows = [parameter_row(parameter, source.openapi) for parameter in operation.spec.get("parameters", ())]
    for content in operation.spec.get("requestBody", {}).get("content", {}).values():
        rows += field_rows(resolve(content.get("schema", {}), source.openapi), source.openapi)
    return markup.table(("Field", "Type", "Meaning and limits"), [_cells(row) for row in rows])


def _cells(row: FieldRow) -> tuple[str, str, str]:
    name = f"<code>{markup.field(row.path)}</code>" + (" <em>required</em>" if row.is_required else "")
    limits = f'<span class="limits">{escape("; ".join(row.limits))}</span>' if row.limits else ""
    return name, escape(row.kind), "<br>".join(filter(None, (markup.inline(row.description), limits)))


def _folds(operation: Operation) -> Iterator[str]:
    """Further bodies, answers by example, and what can go wrong."""
    for name, body in examples(operation.spec)[1:]:
        yield markup.fold(f"Body: {name}", markup.block(pretty_json(body)))
    errors = []
    for status, answer in operation.spec.get("responses", {}).items():
        shown = {kind: content["example"] for kind, content in _contents(answer) if "example" in content}
        if not status.startswith("2"):
            errors += [(status, markup.inline(answer["description"]))] if shown else []
            continue
        for kind, example in shown.items():
            is_stream = kind == _STREAM
            yield markup.fold(
                "Answer as a stream" if is_stream else "Answer",
                markup.block(example if is_stream else pretty_json(example)),
            )
    if errors:
        yield markup.fold("Errors", markup.table(("Status", "Meaning"), errors))


def _contents(answer: Schema) -> Iterator[tuple[str, Schema]]:
    yield from answer.get("content", {}).items()
