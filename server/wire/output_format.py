"""`response_format`: what shape the answer must have."""

from typing import Annotated, Any, Literal

from pydantic import Field

from engines.contract.chat import OutputFormat
from server.errors import invalid
from server.wire.fields import Body, FunctionName
from server.wire.json_schema import check_schema


class JsonSchemaBody(Body):
    """`name`, `description` and `strict` are OpenAI's; output always fits `schema`."""

    name: FunctionName
    description: str | None = None
    json_schema: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class ResponseFormatBody(Body):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaBody | None = None


def output_format(body: ResponseFormatBody | None) -> OutputFormat | None:
    """Raises VALIDATION_ERROR for a missing schema or one out of bounds."""
    if body is None or body.type == "text":
        return None
    if body.type == "json_object":
        return OutputFormat("json_object")
    if body.json_schema is None:
        raise invalid("response_format.json_schema", "is required")
    schema = body.json_schema.json_schema
    check_schema(schema, "response_format.json_schema.schema")
    return OutputFormat("json_schema", schema)
