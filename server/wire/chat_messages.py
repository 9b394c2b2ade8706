"""The conversation of a chat body, and what must hold between its turns. Knows nothing of tools offered."""

from typing import Annotated, Literal, TypeVar

import msgspec
from pydantic import Field

from engines.contract.chat import Message, Part, Role, TextPart, ToolCall
from server.errors import invalid
from server.wire.chat_media import AudioBody, ImageUrlBody, audio_part, image_part
from server.wire.fields import Body, FunctionName, TextOrList

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_OTHER_MEDIA = frozenset({"file", "video_url", "audio_url"})
_CallId = Annotated[str, Field(min_length=1, max_length=256)]


class PartBody(Body):
    """One part of a message. `refusal` is text that an assistant said before."""

    type: Annotated[str, Field(description="`text`, `image_url`, `input_audio` or `refusal`")]
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrlBody | None = Field(None, description="For models with the capability `vision`")
    input_audio: AudioBody | None = Field(None, description="For models with the capability `audio_input`")


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
        None, description="Text, or parts: text, and images or sound where the model takes them"
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
    parts = _parts(body.content, role, f"{path}.content")
    is_text = all(isinstance(part, TextPart) for part in parts)
    return Message(
        role=role,
        content=_text(body.content, parts),
        name=body.name,
        tool_calls=calls,
        tool_call_id=body.tool_call_id if role == "tool" else None,
        reasoning=body.reasoning_content if role == "assistant" else None,
        parts=() if is_text else parts,
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


def _text(content: str | list[PartBody] | None, parts: tuple[Part, ...]) -> str | None:
    if content is None or isinstance(content, str):
        return content
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _parts(content: str | list[PartBody] | None, role: Role, path: str) -> tuple[Part, ...]:
    """The parts of a list, in their order: one for each of the body's."""
    if content is None or isinstance(content, str):
        return ()
    if not content:
        raise invalid(path, "must not be empty")
    return tuple(_part(part, role, f"{path}.{number}") for number, part in enumerate(content))


def _part(part: PartBody, role: Role, path: str) -> Part:
    match part.type:
        case "text":
            return TextPart(_required(part.text, f"{path}.text"))
        case "refusal" if role == "assistant":
            return TextPart(_required(part.refusal, f"{path}.refusal"))
        case "image_url" | "input_audio" if role != "user":
            raise invalid(path, "only a user's message may hold images and sound")
        case "image_url":
            return image_part(_required(part.image_url, f"{path}.image_url"), f"{path}.image_url")
        case "input_audio":
            return audio_part(_required(part.input_audio, f"{path}.input_audio"), f"{path}.input_audio")
        case kind if kind in _OTHER_MEDIA:
            raise invalid(path, f"is a part of type {kind}, which is not supported")
        case _:
            raise invalid(f"{path}.type", "must be 'text', 'image_url' or 'input_audio'")


_Value = TypeVar("_Value")


def _required(value: _Value | None, path: str) -> _Value:
    if value is None:
        raise invalid(path, "is required")
    return value
