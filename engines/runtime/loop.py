"""The life of a worker: take a spec, load its engine, serve connections, stop; knows no library."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from typing import Any

from engines.contract.codec import FrameError, FrameReader, worker_reader
from engines.contract.engine import Engine, EngineStats, Phase, Sleeper
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import (
    PROTOCOL_VERSION,
    Attach,
    Cancel,
    Dying,
    FromWorker,
    Init,
    LoadFailed,
    Progress,
    Ready,
    ResidencyFailed,
    Shutdown,
    Sleep,
    Start,
    Stats,
    ToWorker,
    Wake,
)
from engines.contract.requests import KINDS, Event
from engines.contract.spec import BackendSpec
from engines.runtime.connection import Connection
from engines.runtime.host_memory import HostMeter, settle
from engines.runtime.loader import LoadRefused, crashed, load_engine
from engines.runtime.logs import log_event
from engines.runtime.outbox import Outbox
from engines.runtime.residency import Residency

EXIT_OK, EXIT_CRASHED, EXIT_LOAD_FAILED, EXIT_NO_SUPERVISOR, EXIT_ENGINE_DIED = 0, 1, 3, 4, 5
EXIT_RESIDENCY_FAILED = 6
_LIFE = "life"
_FIRST_CONNECTION_S = 60.0
_STATS_EVERY_S = 1.0


class Worker:
    """Serves one Unix socket. `run` returns the process's exit code."""

    def __init__(self, close_timeout_s: float) -> None:
        self._close_timeout_s = close_timeout_s
        self._connections: list[Connection] = []
        self._engine: Engine | None = None
        self._ready: Ready | None = None
        self._init: asyncio.Future[BackendSpec] = asyncio.get_running_loop().create_future()
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._trouble = asyncio.Event()
        self._meter = HostMeter()
        self._residency = Residency(self._meter, self._tell, self._tell_stats, self._wait_idle)
        self._steps_seen = 0
        self._engine_moved_at = 0.0

    async def run(self, socket: str) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._finish, EXIT_OK)
        server = await asyncio.start_unix_server(self._serve, socket)
        tasks = [
            asyncio.create_task(self._live(), name=_LIFE),
            asyncio.create_task(self._beat(), name="pulse"),
        ]
        for task in tasks:
            task.add_done_callback(self._examine)
        code = await self._exit
        for task in tasks:
            task.cancel()
        server.close()
        await self._close(code)
        log_event("worker.ended", code=code)
        return code

    def _examine(self, task: "asyncio.Task[None]") -> None:
        """A task of ours ended: if by an error, so does the worker."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        failure = error if isinstance(error, LoadRefused | EngineError) else crashed(error)
        log_event("worker.failed", exc_info=error, task=task.get_name(), message=failure.message)
        if self._ready is None:
            self._tell(LoadFailed(failure.message, isinstance(failure, LoadRefused) and failure.permanent))
            self._finish(EXIT_LOAD_FAILED)
        elif task.get_name() == _LIFE:
            self._tell(ResidencyFailed(failure.message, is_fatal=True))
            self._finish(EXIT_RESIDENCY_FAILED)
        else:
            self._tell(Dying(failure.message))
            self._finish(EXIT_CRASHED)

    async def _live(self) -> None:
        """Wait for the spec, load, be ready; then sleep and wake when told to."""
        try:
            async with asyncio.timeout(_FIRST_CONNECTION_S):
                spec = await self._init
        except TimeoutError:
            log_event("worker.abandoned", waited_s=_FIRST_CONNECTION_S)
            return self._finish(EXIT_NO_SUPERVISOR)
        started = time.monotonic()
        log_event("engine.loading", backend=spec.id, engine=spec.engine)
        self._engine = await load_engine(spec, self._report)
        await asyncio.to_thread(settle)
        self._tell_stats(await self._meter.look())
        levels = self._engine.sleep_levels if isinstance(self._engine, Sleeper) else ()
        self._ready = Ready(PROTOCOL_VERSION, time.monotonic() - started, levels)
        log_event("engine.ready", backend=spec.id, load_s=round(self._ready.load_s, 2))
        self._tell(self._ready)
        await self._residency.run(self._engine)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends. The first one is the supervisor's: its end is the worker's."""
        connection = Connection(Outbox(writer), self._begin, self._trouble.set)
        frames = worker_reader(reader)
        is_supervisor = False
        try:
            is_supervisor = await self._greet(connection, frames)
            while (frame := await frames.read()) is not None:
                self._handle(connection, frame)
        except FrameError as error:
            log_event("connection.refused", reason=error)
        finally:
            writer.close()
            if connection in self._connections:
                self._connections.remove(connection)
            if is_supervisor:
                log_event("supervisor.gone")
                self._finish(EXIT_OK)
            await connection.fail_all(EngineError(ErrorCode.BACKEND_ERROR, "connection lost"))

    async def _greet(self, connection: Connection, frames: FrameReader[ToWorker]) -> bool:
        """Take the first frame; true if it made its sender the supervisor."""
        frame = await frames.read()
        if not isinstance(frame, Init | Attach) or frame.version != PROTOCOL_VERSION:
            raise FrameError(f"expected init or attach, version {PROTOCOL_VERSION}")
        if isinstance(frame, Init) == self._init.done():
            raise FrameError("the supervisor comes first, and once")
        self._connections.append(connection)
        if isinstance(frame, Init):
            self._init.set_result(frame.spec)
        elif self._ready:
            connection.outbox.send(self._ready)
        return isinstance(frame, Init)

    def _handle(self, connection: Connection, frame: ToWorker) -> None:
        match frame:
            case Start():
                connection.start(frame)
            case Cancel():
                connection.cancel(frame)
            case Sleep() | Wake():
                self._residency.order(frame)
            case Shutdown():
                self._finish(EXIT_OK)
            case _:
                raise FrameError("init or attach may only come first")

    async def _begin(self, frame: Start) -> AsyncGenerator[Event, None]:
        if self._ready is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is still loading", retry_after_s=1)
        if not self._residency.is_hot:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is asleep", retry_after_s=1)
        method: Any = getattr(self._engine, KINDS[type(frame.request)].method, None)
        if method is None:
            raise EngineError(ErrorCode.VALIDATION_ERROR, "is not of a kind that this can do", field="model")
        events: AsyncGenerator[Event, None] = await method(frame.request, frame.priority)
        return events

    async def _beat(self) -> None:
        """Every second, or at once when a request failed: is the engine alive, and how is it doing?"""
        while True:
            if self._ready and self._engine and (illness := await self._illness(self._engine)):
                self._tell(Dying(illness))
                return self._finish(EXIT_ENGINE_DIED)
            self._tell_stats(await self._meter.read())
            try:
                async with asyncio.timeout(_STATS_EVERY_S):
                    await self._trouble.wait()
            except TimeoutError:
                continue
            self._trouble.clear()

    def _tell_stats(self, host_bytes: int) -> None:
        """Also right before the worker says that it is ready, asleep or awake: what was told before is wrong then."""
        stats = self._engine.stats() if self._engine else EngineStats()
        if stats.steps != self._steps_seen:
            self._steps_seen, self._engine_moved_at = stats.steps, time.monotonic()
        num_requests = sum(connection.num_requests for connection in self._connections)
        idle_s = max((c.oldest_idle_s(self._engine_moved_at) for c in self._connections), default=0.0)
        self._tell(Stats(num_requests, idle_s, stats, host_bytes))

    async def _wait_idle(self) -> None:
        await asyncio.gather(*(connection.wait_idle() for connection in self._connections))

    async def _illness(self, engine: Engine) -> str | None:
        """Why the engine cannot compute any more; None if it can."""
        try:
            await engine.check_health()
        except EngineError as error:
            log_event("engine.died", reason=error.message)
            return error.message
        return None

    def _report(self, phase: Phase, detail: str) -> None:
        log_event("engine.progress", phase=phase, detail=detail)
        self._tell(Progress(phase, detail))

    def _tell(self, frame: FromWorker) -> None:
        for connection in self._connections:
            connection.outbox.send(frame)

    def _finish(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)

    async def _close(self, code: int) -> None:
        """Fail what runs, say so, then close the engine, each for a bounded time."""
        reason = EngineError(ErrorCode.SHUTTING_DOWN, "the worker is stopping")
        if code in (EXIT_ENGINE_DIED, EXIT_CRASHED):
            reason = EngineError(ErrorCode.BACKEND_ERROR, "the engine died", worker_died=True)
        connections = list(self._connections)
        await asyncio.gather(*(connection.fail_all(reason) for connection in connections))
        await asyncio.gather(*(connection.outbox.close() for connection in connections))
        if self._engine is None:
            return
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await self._engine.close()
        except TimeoutError:
            log_event("engine.hung", closing_s=self._close_timeout_s)
