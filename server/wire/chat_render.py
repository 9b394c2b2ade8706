"""Answers of a chat request as bytes, one class per dialect; both keep to OpenAI's shapes."""

from collections.abc import Sequence

from engines.contract.chat import ToolCall
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import success, to_json
from server.joining import Choice, join
from server.wire.chat_frames import ChatFrames
from server.wire.chat_logprobs import logprobs_object
from server.wire.event_stream import NativeStream, OpenAIStream
from server.wire.heading import Heading
from server.wire.usage import usage_object


class NativeChat(NativeStream):
    """`Renderer` of POST /v1/inference/chat: the unstreamed answer stands in the envelope."""

    def __init__(self, heading: Heading, request_id: str) -> None:
        super().__init__(ChatFrames(heading))
        self._heading = heading
        self._request_id = request_id

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        choices = [_choice(choice, {"tool_calls": None}) for choice in join(items)]
        return to_json(success(_completion(self._heading, choices, usage), self._request_id))


class OpenAIChat(OpenAIStream):
    """`Renderer` of POST /oai/v1/chat/completions."""

    def __init__(self, heading: Heading, *, includes_usage: bool) -> None:
        super().__init__(ChatFrames(heading, nulls_usage=includes_usage), includes_usage=includes_usage)
        self._heading = heading

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        choices = [{"logprobs": None} | _choice(choice, {"refusal": None}) for choice in join(items)]
        return to_json(_completion(self._heading, choices, usage))


def _completion(heading: Heading, choices: list[dict[str, object]], usage: Usage) -> dict[str, object]:
    return heading.fields("chat.completion") | {"choices": choices, "usage": usage_object(usage)}


def _choice(choice: Choice, nulls: dict[str, object]) -> dict[str, object]:
    """`nulls` are the members of `message` that this dialect shows even when there is nothing in them."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if choice.tool_calls and not choice.content else choice.content,
    } | nulls
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
    rendered: dict[str, object] = {"index": choice.index, "message": message}
    if choice.logprobs:
        rendered["logprobs"] = logprobs_object(choice.logprobs)
    return rendered | {"finish_reason": choice.finish_reason}


def _tool_call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
