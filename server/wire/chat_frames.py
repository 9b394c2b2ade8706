"""Event-stream frames of a chat answer, from byte templates: a plain piece of text builds no dictionary.

Knows OpenAI's chunk, not which dialect wants what at the end.
"""

from engines.contract.chat import Delta, ToolCallDelta
from engines.contract.types import FinishReason
from server.envelope import to_json
from server.wire.chat_logprobs import logprobs_object
from server.wire.heading import Heading


class ChatFrames:
    """Frames of one answer. `nulls_usage`: every chunk says `"usage":null`, as where usage follows later."""

    def __init__(self, heading: Heading, *, nulls_usage: bool = False) -> None:
        self._head = b"data: " + to_json(heading.fields("chat.completion.chunk"))[:-1] + b',"choices":['
        self._tail = (b'],"usage":null' if nulls_usage else b"]") + b"}\n\n"
        self._text_tail = b'},"finish_reason":null}' + self._tail
        self._text_heads: dict[int, bytes] = {}

    def piece(self, delta: Delta) -> bytes:
        """The first piece of a choice carries the role, which never goes ahead of it.

        Clients take the first chunk for the first token.
        """
        text_head = self._text_heads.get(delta.index)
        if text_head is None:
            return self._first(delta)
        if delta.reasoning or delta.tool_calls or delta.logprobs:
            return self._mixed(delta, {})
        if delta.content:
            return text_head + to_json(delta.content) + self._text_tail
        return b""

    def finish(
        self, index: int, reason: FinishReason | None, usage: dict[str, object] | None = None
    ) -> bytes:
        choice = b'{"index":%d,"delta":{},"finish_reason":%s}' % (index, to_json(reason))
        if usage is None:
            return self._head + choice + self._tail
        return self._head + choice + b'],"usage":' + to_json(usage) + b"}\n\n"

    def usage(self, usage: dict[str, object]) -> bytes:
        return self._head + b'],"usage":' + to_json(usage) + b"}\n\n"

    def _first(self, delta: Delta) -> bytes:
        if not (
            delta.content or delta.reasoning or delta.tool_calls or delta.logprobs or delta.finish_reason
        ):
            return b""
        self._text_heads[delta.index] = self._head + b'{"index":%d,"delta":{"content":' % delta.index
        return self._mixed(delta, {"role": "assistant", "content": None if delta.tool_calls else ""})

    def _mixed(self, delta: Delta, added: dict[str, object]) -> bytes:
        if delta.content:
            added["content"] = delta.content
        if delta.reasoning:
            added["reasoning_content"] = delta.reasoning
        if delta.tool_calls:
            added["tool_calls"] = [_tool_call(call) for call in delta.tool_calls]
        choice: dict[str, object] = {"index": delta.index, "delta": added}
        if delta.logprobs:
            choice["logprobs"] = logprobs_object(delta.logprobs)
        choice["finish_reason"] = None
        return self._head + to_json(choice) + self._tail


def _tool_call(call: ToolCallDelta) -> dict[str, object]:
    """`id`, `type` and `name` come with the first piece of a call only."""
    if call.id is None:
        return {"index": call.index, "function": {"arguments": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}
