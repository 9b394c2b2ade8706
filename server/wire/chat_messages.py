"""The conversation of a chat body, and what must hold between its turns. Knows nothing of tools offered."""

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from engines.contract.chat import Message, Role, ToolCall
from server.errors import invalid
from server.wire.fields import Body, FunctionName, TextOrList

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_MEDIA_PARTS = frozenset({"image_url", "input_audio", "file", "video_url", "audio_url"})
_CallId = Annotated[str, Field(min_length=1, max_length=256)]


class PartBody(Body):
    """One part of a message; only text can be used. `refusal` is text that an assistant said before."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunctionBody(Body):
    name: FunctionName
    arguments: Annotated[str, Field(description="A JSON object as text")]


class ToolCallBody(Body):
    id: _CallId
    type: Literal["function"] = "function"
    function: CalledFunctionBody


class MessageBody(Body):
    """One turn; which fields belong to which role is checked by `messages`."""

    role: Annotated[str, Field(json_schema_extra={"enum": list(_ROLES)})]
    content: TextOrList[str, Annotated[PartBody, Field()]] | None = Field(
        None, description="Text, or parts of type `text`"
    )
    name: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: Annotated[list[ToolCallBody], Field(max_length=128)] | None = Field(
        None, description="Role assistant: the calls that it made"
    )
    tool_call_id: _CallId | None = Field(None, description="Role tool: the call that it answers")
    reasoning_content: str | None = Field(None, description="Role assistant: what it thought")


def messages(bodies: list[MessageBody]) -> tuple[Message, ...]:
    """The conversation in the contract's words. Raises VALIDATION_ERROR with the path of the field."""
    calls_made: set[str] = set()
    conversation = []
    for number, body in enumerate(bodies):
        message = _message(body, f"messages.{number}")
        if message.role == "tool" and message.tool_call_id not in calls_made:
            raise invalid(f"messages.{number}.tool_call_id", "answers no tool call of an earlier message")
        calls_made.update(call.id for call in message.tool_calls)
        conversation.append(message)
    return tuple(conversation)


def _message(body: MessageBody, path: str) -> Message:
    role = _ROLES.get(body.role)
    if role is None:
        raise invalid(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
    calls = _tool_calls(body, role, path)
    if role == "tool" and body.tool_call_id is None:
        raise invalid(f"{path}.tool_call_id", "is required for role tool")
    if body.content is None and not calls:
        raise invalid(f"{path}.content", "is required")
    return Message(
        role=role,
        content=_text(body.content, role, f"{path}.content"),
        name=body.name,
        tool_calls=calls,
        tool_call_id=body.tool_call_id if role == "tool" else None,
        reasoning=body.reasoning_content if role == "assistant" else None,
    )


def _tool_calls(body: MessageBody, role: Role, path: str) -> tuple[ToolCall, ...]:
    if not body.tool_calls:
        return ()
    if role != "assistant":
        raise invalid(f"{path}.tool_calls", "is only allowed for role assistant")
    for number, call in enumerate(body.tool_calls):
        if not _is_json_object(call.function.arguments):
            raise invalid(f"{path}.tool_calls.{number}.function.arguments", "must be a JSON object as text")
    return tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in body.tool_calls)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _text(content: str | list[PartBody] | None, role: Role, path: str) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if not content:
        raise invalid(path, "must not be empty")
    return "".join(_part_text(part, role, f"{path}.{number}") for number, part in enumerate(content))


def _part_text(part: PartBody, role: Role, path: str) -> str:
    if part.type == "text":
        text = part.text
    elif part.type == "refusal" and role == "assistant":
        text = part.refusal
    elif part.type in _MEDIA_PARTS:
        raise invalid(path, f"is a part of type {part.type}; this model reads text only")
    else:
        raise invalid(f"{path}.type", "must be 'text'")
    if text is None:
        raise invalid(f"{path}.{part.type}", "is required")
    return text
