"""The gateway's end of one worker's socket: starts and cancels requests, hands each its events.

Knows frames, not processes: when the connection is lost, every request in flight fails with BACKEND_ERROR.
"""

import asyncio
import functools
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

from engines.contract.codec import FrameError, encode, gateway_reader
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import (
    Accepted,
    Asleep,
    Awake,
    Cancel,
    Done,
    Dying,
    Failed,
    Items,
    LoadFailed,
    Progress,
    Ready,
    ResidencyFailed,
    Start,
    Stats,
    ToWorker,
)
from engines.contract.requests import Item, Request
from engines.contract.types import Priority, Usage

ResidencyFrame = Asleep | Awake | ResidencyFailed
ControlFrame = Progress | Ready | LoadFailed | Dying | Stats | ResidencyFrame


class Answered(NamedTuple):
    """A request that ended as it should: when, by the monotonic clock, and how long after it was sent."""

    at: float
    took_s: float


class RequestStream:
    """One request in a worker. Ends exactly once: with usage, with an error, or cancelled by its owner.

    One consumer at a time. Items that arrive while the consumer is busy are kept and delivered together;
    those after the end are dropped, so that a worker that goes on cannot hide the end from a slow consumer.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self.usage: Usage | None = None
        self.started_at = time.monotonic()
        self._cancel = cancel
        self._is_accepted = False
        self._pending: list[Item] = []
        self._error: EngineError | None = None
        self._wake: asyncio.Future[None] | None = None

    async def accepted(self) -> None:
        """Wait until the engine has admitted the request; raises its refusal as EngineError."""
        while not self._is_accepted:
            self._raise_error()
            await self._moved()

    async def next_batch(self) -> list[Item] | None:
        """All items since the last call, at least one; None at the end. Cancelling it loses none."""
        while not self._pending:
            self._raise_error()
            if self.usage is not None:
                return None
            await self._moved()
        batch, self._pending = self._pending, []
        return batch

    def close(self) -> None:
        """The owner is done with it: what still runs in the worker is stopped."""
        self._cancel()

    def accept(self) -> None:
        self._is_accepted = True
        self._notify()

    def push(self, item: Item) -> None:
        if not self._has_ended:
            self._pending.append(item)
            self._notify()

    def finish(self, usage: Usage) -> None:
        if not self._has_ended:
            self.usage = usage
            self._is_accepted = True
            self._notify()

    def fail(self, error: EngineError) -> None:
        """End the request with `error`, unless it has ended already."""
        if not self._has_ended:
            self._error = error
            self._notify()

    @property
    def _has_ended(self) -> bool:
        return self._error is not None or self.usage is not None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _moved(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None


class Channel:
    """All requests of this process in one worker. Created connected; nothing arrives unless `run` runs.

    `last_answer` is the newest request that was answered to its end.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.last_answer: Answered | None = None
        self._frames = gateway_reader(reader)
        self._writer = writer
        self._ids = itertools.count(1)
        self._streams: dict[int, RequestStream] = {}
        self._unsent: list[bytes] = []
        self._refusal: EngineError | None = None
        self._is_end_expected = False

    def send(self, frame: ToWorker) -> None:
        """Queue one frame; all of one turn of the event loop leave together. Raises FrameError.

        On a lost connection nothing happens: `run` fails every stream.
        """
        self._unsent.append(encode(frame))
        if len(self._unsent) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def start(self, request: Request, priority: Priority) -> RequestStream:
        """Send a request. The caller must close the stream.

        Raises EngineError: MODEL_UNAVAILABLE on a connection that is lost already, so that no worker hears of the
        request; PAYLOAD_TOO_LARGE for more than a frame holds.
        """
        if self._refusal is not None:
            raise _unheard() if self._refusal.worker_died else self._refusal
        request_id = next(self._ids)
        try:
            self.send(Start(request_id, request, priority))
        except FrameError as error:
            raise EngineError(ErrorCode.PAYLOAD_TOO_LARGE, "The request is too large") from error
        stream = RequestStream(functools.partial(self._close_stream, request_id))
        self._streams[request_id] = stream
        return stream

    async def run(self) -> AsyncGenerator[ControlFrame, None]:
        """Deliver request frames to streams, yield the others, until the connection ends; fail what is left.

        Raises FrameError if the worker sent something that is no frame.
        """
        try:
            while (frame := await self._frames.read()) is not None:
                if isinstance(frame, ControlFrame):
                    yield frame
                else:
                    self._deliver(frame)
        finally:
            self._writer.close()
            self.fail_all(_worker_lost(worker_died=not self._is_end_expected))
            self._streams.clear()

    def expect_end(self) -> None:
        """The worker was told to stop: the end of its connection is no death."""
        self._is_end_expected = True

    def fail_all(self, error: EngineError) -> None:
        """End every request in flight with `error`, for their owners to close, and refuse all that follow."""
        self._refusal = self._refusal or error
        for stream in self._streams.values():
            stream.fail(error)

    def _deliver(self, frame: Accepted | Items | Done | Failed) -> None:
        if isinstance(frame, Items):
            for request_id, item in frame.items:
                if stream := self._streams.get(request_id):
                    stream.push(item)
        elif isinstance(frame, Accepted):
            if stream := self._streams.get(frame.id):
                stream.accept()
        elif stream := self._streams.pop(frame.id, None):
            if isinstance(frame, Done):
                stream.finish(frame.usage)
                now = time.monotonic()
                self.last_answer = Answered(now, now - stream.started_at)
            else:
                stream.fail(_failure(frame))

    def _flush(self) -> None:
        frames, self._unsent = self._unsent, []
        if not self._writer.is_closing():
            self._writer.write(b"".join(frames))

    def _close_stream(self, request_id: int) -> None:
        if self._streams.pop(request_id, None) is not None:
            self.send(Cancel(request_id))


def _failure(frame: Failed) -> EngineError:
    return EngineError(
        frame.code,
        frame.message,
        field=frame.field,
        retry_after_s=frame.retry_after_s,
        worker_died=frame.worker_died,
    )


def _unheard() -> EngineError:
    return EngineError(
        ErrorCode.MODEL_UNAVAILABLE, "The model's worker process ended just before", retry_after_s=1
    )


def _worker_lost(*, worker_died: bool) -> EngineError:
    message = "The model's worker process ended while it served this request"
    return EngineError(ErrorCode.BACKEND_ERROR, message, worker_died=worker_died)
