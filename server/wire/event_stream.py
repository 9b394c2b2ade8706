"""What the dialects do differently in a stream, in chat and plain generation alike: endings and failures."""

from collections.abc import Sequence
from typing import Protocol

from engines.contract.chat import Delta
from engines.contract.requests import Item
from engines.contract.types import FinishReason, Usage
from server.envelope import error_frame
from server.errors import ServiceError
from server.streaming import EVENTS, JSON
from server.wire.usage import usage_object


class Frames(Protocol):
    """Chunks of one kind of answer, each a whole event-stream frame."""

    def piece(self, delta: Delta) -> bytes:
        """What `delta` adds to its choice, as one frame or none; never its finish reason."""

    def finish(
        self, index: int, reason: FinishReason | None, usage: dict[str, object] | None = None
    ) -> bytes:
        """The last, content-free chunk of choice `index`, with `usage` in it if given."""

    def usage(self, usage: dict[str, object]) -> bytes:
        """A chunk without choices."""


class NativeStream:
    """ScaiGrid: usage is always sent, within the last content-free chunk, so that `choices` is never empty.

    The last finish reason is therefore held back until usage is known.
    """

    stream_format = EVENTS
    whole_type = JSON

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._held: tuple[int, FinishReason | None] | None = None

    def items(self, items: Sequence[Item]) -> bytes:
        sent = []
        for delta in items:
            if not isinstance(delta, Delta):
                continue
            sent.append(self._frames.piece(delta))
            if delta.finish_reason is not None:
                if self._held is not None:
                    sent.append(self._frames.finish(*self._held))
                self._held = (delta.index, delta.finish_reason)
        return b"".join(sent)

    def end(self, usage: Usage) -> bytes:
        index, reason = self._held or (0, None)
        return self._frames.finish(index, reason, usage_object(usage))

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=False)


class OpenAIStream:
    """OpenAI: usage is a chunk of its own, sent only to clients that set `stream_options.include_usage`."""

    stream_format = EVENTS
    whole_type = JSON

    def __init__(self, frames: Frames, *, includes_usage: bool) -> None:
        self._frames = frames
        self._includes_usage = includes_usage

    def items(self, items: Sequence[Item]) -> bytes:
        sent = []
        for delta in items:
            if not isinstance(delta, Delta):
                continue
            sent.append(self._frames.piece(delta))
            if delta.finish_reason is not None:
                sent.append(self._frames.finish(delta.index, delta.finish_reason))
        return b"".join(sent)

    def end(self, usage: Usage) -> bytes:
        return self._frames.usage(usage_object(usage)) if self._includes_usage else b""

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=True)
