"""Answers of plain generation as bytes, one class per dialect, in the shape of OpenAI's text completion."""

from collections.abc import Sequence

from engines.contract.chat import Delta
from engines.contract.requests import Item
from engines.contract.types import FinishReason, Usage
from server.envelope import success, to_json
from server.joining import Choice, join
from server.wire.completion_logprobs import legacy_logprobs, text_length
from server.wire.event_stream import NativeStream, OpenAIStream
from server.wire.heading import Heading
from server.wire.usage import usage_object

_KIND = "text_completion"


class CompletionFrames:
    """Event-stream frames of one answer, from byte templates. `nulls_usage` as in ChatFrames."""

    def __init__(self, heading: Heading, *, nulls_usage: bool = False) -> None:
        self._head = b"data: " + to_json(heading.fields(_KIND))[:-1] + b',"choices":['
        self._tail = (b'],"usage":null' if nulls_usage else b"]") + b"}\n\n"
        self._offsets: dict[int, int] = {}

    def piece(self, delta: Delta) -> bytes:
        if not (delta.content or delta.logprobs):
            return b""
        text, logprobs = to_json(delta.content), self._logprobs(delta)
        choice = b'{"index":%d,"text":%s,"logprobs":%s,"finish_reason":null}' % (delta.index, text, logprobs)
        return self._head + choice + self._tail

    def finish(
        self, index: int, reason: FinishReason | None, usage: dict[str, object] | None = None
    ) -> bytes:
        choice = b'{"index":%d,"text":"","logprobs":null,"finish_reason":%s}' % (index, to_json(reason))
        if usage is None:
            return self._head + choice + self._tail
        return self._head + choice + b'],"usage":' + to_json(usage) + b"}\n\n"

    def usage(self, usage: dict[str, object]) -> bytes:
        return self._head + b'],"usage":' + to_json(usage) + b"}\n\n"

    def _logprobs(self, delta: Delta) -> bytes:
        if not delta.logprobs:
            return b"null"
        offset = self._offsets.get(delta.index, 0)
        self._offsets[delta.index] = offset + text_length(delta.logprobs)
        return to_json(legacy_logprobs(delta.logprobs, offset))


class NativeGenerate(NativeStream):
    """`Renderer` of POST /v1/inference/generate: the unstreamed answer stands in the envelope."""

    def __init__(self, heading: Heading, request_id: str) -> None:
        super().__init__(CompletionFrames(heading))
        self._heading = heading
        self._request_id = request_id

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(success(_completion(self._heading, items, usage), self._request_id))


class OpenAICompletion(OpenAIStream):
    """`Renderer` of POST /oai/v1/completions."""

    def __init__(self, heading: Heading, *, includes_usage: bool) -> None:
        super().__init__(CompletionFrames(heading, nulls_usage=includes_usage), includes_usage=includes_usage)
        self._heading = heading

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(_completion(self._heading, items, usage))


def _completion(heading: Heading, items: Sequence[Item], usage: Usage) -> dict[str, object]:
    choices = [_choice(choice) for choice in join(items)]
    return heading.fields(_KIND) | {"choices": choices, "usage": usage_object(usage)}


def _choice(choice: Choice) -> dict[str, object]:
    return {
        "index": choice.index,
        "text": choice.content,
        "logprobs": legacy_logprobs(choice.logprobs, 0) if choice.logprobs else None,
        "finish_reason": choice.finish_reason,
    }
