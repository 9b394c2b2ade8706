"""Examples in the API reference: a route's own bodies, and a curl call that can be pasted. Pure."""

import json
import shlex

from server.routes.reference.fields import Schema, resolve

_LINE_CHARS = 76


def examples(operation: Schema) -> list[tuple[str, object]]:
    """Name and body of every example that the operation has."""
    contents = operation.get("requestBody", {}).get("content", {}).values()
    return [(name, given["value"]) for found in contents for name, given in found.get("examples", {}).items()]


def smallest_body(operation: Schema, document: Schema) -> dict[str, str] | None:
    """A body with a placeholder for every required field, for operations without an example."""
    for found in operation.get("requestBody", {}).get("content", {}).values():
        return dict.fromkeys(resolve(found.get("schema", {}), document).get("required", ()), "...")
    return None


def curl(method: str, url: str, body: object = None, *, has_key: bool = True, is_form: bool = False) -> str:
    """A call for a POSIX shell that has the key in $KEY. A form's file is given as `@name`."""
    usual = "GET" if body is None else "POST"
    parts = ["curl " + ("" if method == usual else f"-X {method} ") + url]
    if has_key:
        parts.append('-H "Authorization: Bearer $KEY"')
    if is_form and isinstance(body, dict):
        parts += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in body.items()]
    elif body is not None:
        quoted = pretty_json(body).replace("'", "'\\''")
        parts += ['-H "Content-Type: application/json"', f"-d '{quoted}'"]
    return " \\\n  ".join(parts)


def pretty_json(value: object, indent: str = "") -> str:
    """JSON with one line for whatever fits in one."""
    short = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(short) <= _LINE_CHARS or not value or not isinstance(value, dict | list):
        return short
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + pretty_json(item, inner) for item in value) + f"\n{indent}]"
    members = (f"{inner}{json.dumps(key)}: {pretty_json(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"
