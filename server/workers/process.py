"""One worker's operating system process: spawn it, connect, listen, end it with all its children.

Knows nothing of scheduling: what happens is told through a `Listener`.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Protocol

import msgspec

from engines.contract.frames import PROTOCOL_VERSION, Init, LoadFailed, Progress, Ready, Shutdown, Stats
from engines.contract.spec import BackendSpec
from server.telemetry import log_event
from server.workers.channel import Channel

CONNECT_POLL_S = 0.02
EXIT_GRACE_S = 1.0


class LaunchPlan(msgspec.Struct, frozen=True):
    """How to start the worker of one backend. `socket` lies in a directory of mode 0700; `log` is appended to."""

    command: tuple[str, ...]
    environment: dict[str, str]
    socket: Path
    log: Path


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds. `heartbeat_s`: longest silence of a ready worker. `stall_s`: longest time without progress of a request."""

    connect_s: float = 60.0
    heartbeat_s: float = 10.0
    stall_s: float = 120.0
    shutdown_s: float = 15.0


class Listener(Protocol):
    """Told once each, in this order: any number of `on_progress`, perhaps `on_ready`, at last `on_exit`."""

    def on_progress(self, worker: "WorkerProcess", frame: Progress) -> None: ...

    def on_ready(self, worker: "WorkerProcess", frame: Ready) -> None: ...

    def on_exit(self, worker: "WorkerProcess", error: str | None, permanent: bool) -> None: ...


class WorkerProcess:
    """A worker from spawn to reaping. `error` in `on_exit` is None only after `stop()` without a reason."""

    def __init__(self, spec: BackendSpec, plan: LaunchPlan, timeouts: Timeouts) -> None:
        self.spec = spec
        self.channel: Channel | None = None
        self.stats: Stats | None = None
        self.load_s: float | None = None
        self._plan = plan
        self._timeouts = timeouts
        self._process: asyncio.subprocess.Process | None = None
        self._stop_requested = asyncio.Event()
        self._stop_reason: str | None = None
        self._load_failure: LoadFailed | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def stop(self, reason: str | None = None) -> None:
        """Ask the worker to end; with a reason it is killed and its end counts as a failure."""
        self._stop_reason = self._stop_reason or reason
        self._stop_requested.set()

    async def run(self, listener: Listener) -> None:
        """Start it and see it through to its end. Never raises for anything the worker does."""
        lifeline_read, lifeline_write = os.pipe()
        try:
            self._process = await self._spawn(lifeline_read)
        except OSError as error:
            os.close(lifeline_write)
            listener.on_exit(self, f"could not start {self._plan.command[0]}: {error.strerror}", True)
            return
        finally:
            os.close(lifeline_read)
        log_event("worker.started", backend=self.spec.id, pid=self._process.pid)
        serve = asyncio.create_task(self._serve(listener), name=f"serve {self.spec.id}")
        stop = asyncio.create_task(self._stop_requested.wait(), name=f"stop {self.spec.id}")
        try:
            await asyncio.wait({serve, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not serve.done() and self._stop_reason is None:
                await self._shut_down(serve)
            if serve.done():
                await self._leave_time_to_exit()
        finally:
            serve.cancel()
            stop.cancel()
            await asyncio.gather(serve, stop, return_exceptions=True)
            self._kill_group()
            status = await self._process.wait()
            os.close(lifeline_write)
        error = self._exit_error(status)
        log_event("worker.ended", backend=self.spec.id, pid=self._process.pid, status=status, error=error)
        listener.on_exit(self, error, self._load_failure is not None and self._load_failure.permanent)

    async def _spawn(self, lifeline: int) -> asyncio.subprocess.Process:
        self._plan.socket.unlink(missing_ok=True)
        with self._plan.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._plan.command,
                "--socket",
                str(self._plan.socket),
                "--lifeline",
                str(lifeline),
                env=self._plan.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lifeline,),
                start_new_session=True,
            )

    async def _serve(self, listener: Listener) -> None:
        connection = await self._connect()
        if connection is None:
            return
        self.channel = Channel(*connection)
        self.channel.send(Init(PROTOCOL_VERSION, self.spec))
        async with contextlib.aclosing(self.channel.run()) as frames:
            try:
                async with asyncio.timeout(None) as watchdog:
                    async for frame in frames:
                        self._on_frame(frame, listener, watchdog)
            except TimeoutError:
                self._stop_reason = f"no sign of life for {self._timeouts.heartbeat_s:.0f} s"

    def _on_frame(
        self, frame: Progress | Ready | LoadFailed | Stats, listener: Listener, watchdog: asyncio.Timeout
    ) -> None:
        if self.load_s is not None:
            watchdog.reschedule(asyncio.get_running_loop().time() + self._timeouts.heartbeat_s)
        if isinstance(frame, Stats):
            self.stats = frame
            if frame.oldest_idle_s > self._timeouts.stall_s:
                self.stop(f"a request made no progress for {frame.oldest_idle_s:.0f} s")
        elif isinstance(frame, Progress):
            listener.on_progress(self, frame)
        elif isinstance(frame, Ready):
            self.load_s = frame.load_s
            listener.on_ready(self, frame)
        else:
            self._load_failure = frame

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect as soon as the worker listens; None when it ended or took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeouts.connect_s):
                while self._process is not None and self._process.returncode is None:
                    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                        return await asyncio.open_unix_connection(str(self._plan.socket))
                    await asyncio.sleep(CONNECT_POLL_S)
        return None

    async def _shut_down(self, serve: "asyncio.Task[None]") -> None:
        """An orderly end: the worker fails what runs and closes its engine, within a limit."""
        if self.channel is not None:
            self.channel.send(Shutdown())
            await asyncio.wait({serve}, timeout=self._timeouts.shutdown_s)

    async def _leave_time_to_exit(self) -> None:
        """A worker that hung up is about to exit; wait a moment, so that its own exit status is the one reported."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_GRACE_S):
                    await self._process.wait()

    def _kill_group(self) -> None:
        """End the worker and every process it started (vLLM's engine core is one)."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._plan.socket.unlink(missing_ok=True)

    def _exit_error(self, status: int) -> str | None:
        if self._load_failure is not None:
            return self._load_failure.message
        if self._stop_reason is not None:
            return self._stop_reason
        if self._stop_requested.is_set():
            return None
        if status < 0:
            return f"ended by {signal.Signals(-status).name}"
        return f"ended with exit status {status}"
