"""Reads a JSON request body into a pydantic model, strictly; and how such a body appears in OpenAPI."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from server.errors import invalid
from server.wire.problems import validation_error
from server.wire.strict_json import decode_object

_Body = TypeVar("_Body", bound=BaseModel)


async def read_json(request: Request, model: type[_Body]) -> _Body:
    """The body of `request` as `model`. Raises VALIDATION_ERROR with the field at fault, or `body`."""
    _check_content_type(request)
    return validate(await request.body(), model)


def validate(raw: bytes, model: type[_Body]) -> _Body:
    """`raw` as `model`: strict JSON, strict types. Raises VALIDATION_ERROR."""
    return check_fields(decode_object(raw), model)


def check_fields(fields: Mapping[str, object], model: type[_Body]) -> _Body:
    """`fields`, as strict JSON gives them, as `model`: strict types. Raises VALIDATION_ERROR."""
    try:
        return model.model_validate(fields, strict=True)
    except ValidationError as error:
        raise validation_error(error) from None


def _check_content_type(request: Request) -> None:
    # Browsers can send text/plain across origins without asking; JSON they cannot.
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    charset = parameters.partition("charset=")[2].strip().strip('"').lower()
    if not is_json or charset not in ("", "utf-8", "utf8"):
        raise invalid("body", "must be sent with Content-Type: application/json")


def body_docs(model: type[BaseModel], **examples: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads `model` with `read_json`; each example is a whole body."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    content: dict[str, Any] = {"schema": _inlined(schema, definitions)}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """`node` with every `$ref` replaced by what it names: a route cannot add to the document's components."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        return _inlined(definitions[reference.rsplit("/", 1)[-1]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items()}
