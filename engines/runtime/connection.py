"""One gateway's connection: its requests as tasks, each ended exactly once; knows frames, not engines."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import Cancel, Done, Failed, Start
from engines.contract.requests import Event
from engines.contract.types import Usage
from engines.runtime.logs import log_event
from engines.runtime.outbox import Outbox

StartRequest = Callable[[Start], Awaitable[AsyncGenerator[Event, None]]]


class Connection:
    """Runs the requests of one peer. `begin` starts one; `on_trouble` is called after each BACKEND_ERROR."""

    def __init__(self, outbox: Outbox, begin: StartRequest, on_trouble: Callable[[], None]) -> None:
        self.outbox = outbox
        self._begin = begin
        self._on_trouble = on_trouble
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._moved_at: dict[int, float] = {}
        self._cancelled = EngineError(ErrorCode.BACKEND_ERROR, "cancelled")

    @property
    def num_requests(self) -> int:
        return len(self._tasks)

    async def wait_idle(self) -> None:
        """Return when no request is left, however it ends."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    def oldest_idle_s(self, engine_moved_at: float) -> float:
        """How long the stillest request has shown nothing; a step of the engine counts as a move of all."""
        oldest = min(self._moved_at.values(), default=None)
        return 0.0 if oldest is None else time.monotonic() - max(oldest, engine_moved_at)

    def start(self, frame: Start) -> None:
        if frame.id in self._tasks:
            log_event("request.refused", id=frame.id, reason="id in use")
            return
        self._moved_at[frame.id] = time.monotonic()
        task = asyncio.create_task(self._run(frame), name=f"request-{frame.id}")
        self._tasks[frame.id] = task
        task.add_done_callback(lambda _: self._forget(frame.id))

    def cancel(self, frame: Cancel) -> None:
        if task := self._tasks.get(frame.id):
            task.cancel()

    async def fail_all(self, error: EngineError, *, timeout_s: float = 5.0) -> None:
        """End every request with this error; returns when they have ended or the time is up."""
        self._cancelled = error
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        self.outbox.flush()

    def _forget(self, id: int) -> None:
        del self._tasks[id]
        if id in self._moved_at:  # cancelled before its task took a first step
            self._end(_failed(id, self._cancelled))

    def _end(self, frame: Done | Failed) -> None:
        del self._moved_at[frame.id]
        self.outbox.end(frame)

    async def _run(self, frame: Start) -> None:
        """Serve one request and end it."""
        try:
            end: Done | Failed = Done(frame.id, await self._answer(frame))
        except asyncio.CancelledError:
            self._end(_failed(frame.id, self._cancelled))
            raise
        except EngineError as error:
            end = _failed(frame.id, error)
            if error.code is ErrorCode.BACKEND_ERROR:
                self._on_trouble()
        except Exception as error:  # noqa: BLE001 the one broad except: a bug fails its request alone
            error_id = uuid.uuid4().hex[:12]
            log_event("request.crashed", exc_info=error, error_id=error_id, id=frame.id)
            end = Failed(frame.id, ErrorCode.BACKEND_ERROR, f"internal error {error_id}")
            self._on_trouble()
        self._end(end)

    async def _answer(self, frame: Start) -> Usage:
        usage: Usage | None = None
        id, outbox, moved_at = frame.id, self.outbox, self._moved_at
        async with aclosing(await self._begin(frame)) as events:
            outbox.accept(id)
            async for event in events:
                if isinstance(event, Usage):
                    usage = event
                else:
                    outbox.add(id, event)
                    moved_at[id] = time.monotonic()
        if usage is None:
            raise RuntimeError("the engine gave no usage")
        return usage


def _failed(id: int, error: EngineError) -> Failed:
    return Failed(id, error.code, error.message, error.field, error.retry_after_s, error.worker_died)
