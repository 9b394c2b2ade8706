"""The tools of a chat body and which of them the model may or must call."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from engines.contract.chat import Tool, ToolChoice
from server.errors import invalid
from server.wire.fields import Body, FunctionName
from server.wire.json_schema import MAX_TOOLS_BYTES, check_object_schema
from server.wire.problems import OURS


class FunctionBody(Body):
    name: FunctionName
    description: Annotated[str, Field(max_length=16384)] | None = None
    parameters: Annotated[dict[str, Any], Field(description="A JSON schema of type object")] | None = None
    strict: bool | None = None


class ToolBody(Body):
    type: Literal["function"]
    function: FunctionBody


class NamedFunctionBody(Body):
    name: FunctionName


class NamedToolBody(Body):
    type: Literal["function"]
    function: NamedFunctionBody


def _word_or_tool(value: object) -> str | None:
    if isinstance(value, str):
        return "~word"
    return "~tool" if isinstance(value, dict) else None


ToolChoiceBody = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("~word")] | Annotated[NamedToolBody, Tag("~tool")],
    Discriminator(
        _word_or_tool,
        custom_error_type=OURS,
        custom_error_message="must be 'auto', 'none', 'required' or a tool",
    ),
]


def tools(bodies: list[ToolBody] | None) -> tuple[Tool, ...]:
    """Raises VALIDATION_ERROR for names given twice and for parameters that are no bounded object schema."""
    offered: dict[str, Tool] = {}
    size_bytes = 0
    for number, body in enumerate(bodies or ()):
        function = body.function
        if function.name in offered:
            raise invalid(f"tools.{number}.function.name", "is the name of an earlier tool")
        if function.parameters is not None:
            size_bytes += check_object_schema(function.parameters, f"tools.{number}.function.parameters")
        offered[function.name] = Tool(
            function.name, function.description, function.parameters, bool(function.strict)
        )
    if size_bytes > MAX_TOOLS_BYTES:
        raise invalid("tools", f"must have at most {MAX_TOOLS_BYTES} bytes of parameters together")
    return tuple(offered.values())


def tool_choice(body: str | NamedToolBody | None, offered: tuple[Tool, ...]) -> ToolChoice:
    """Raises VALIDATION_ERROR when there is nothing to choose from, or the named tool is not among it."""
    if body is None:
        return ToolChoice()
    if not offered:
        raise invalid("tool_choice", "is only allowed together with tools")
    if isinstance(body, NamedToolBody):
        if all(tool.name != body.function.name for tool in offered):
            raise invalid("tool_choice.function.name", "names none of the tools")
        return ToolChoice("named", body.function.name)
    return ToolChoice("required" if body == "required" else "none" if body == "none" else "auto")
