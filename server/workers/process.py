"""One worker's operating system process: spawn it, connect, listen, end it with all its children.

Knows nothing of scheduling: what happens is told through a `Listener`.
"""

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from engines.contract.codec import FrameError
from engines.contract.frames import (
    PROTOCOL_VERSION,
    Dying,
    Init,
    LoadFailed,
    Progress,
    Ready,
    ResidencyFailed,
    Shutdown,
    Sleep,
    Stats,
    Wake,
)
from engines.contract.spec import BackendSpec
from server.telemetry import log_event
from server.workers.channel import Channel, ControlFrame, ResidencyFrame
from server.workers.ending import Members, end_group, name_them
from server.workers.last_words import NOT_STARTED, LastWords
from server.workers.proc import members

CONNECT_POLL_S = 0.02
EXIT_GRACE_S = 0.5  # between a worker's hanging up and its exit
CHECKS_PER_HEARTBEAT = 5
PASSING_ERRORS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC})


class LaunchPlan(msgspec.Struct, frozen=True):
    """How to start one backend's worker. `socket` lies in a directory of mode 0700; `log` is appended to."""

    command: tuple[str, ...]
    environment: dict[str, str]
    socket: Path
    log: Path


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds. `heartbeat_s`: longest silence of a ready worker, `load_heartbeat_s` of one that comes up: libraries
    may hold its interpreter up while they are imported. `stall_s`: of a request without progress.

    `sleep_s` and `wake_s` are kept by the worker itself, which ends when it takes longer. `gone_s`: until processes
    that were killed count as survivors.
    """

    connect_s: float = 60.0
    heartbeat_s: float = 10.0
    load_heartbeat_s: float = 120.0
    stall_s: float = 120.0
    shutdown_s: float = 15.0
    sleep_s: float = 60.0
    wake_s: float = 600.0
    gone_s: float = 10.0


class Listener(Protocol):
    """Told once each, in this order: `on_progress`es, perhaps `on_ready` and `on_hang_up`, `on_exit`.

    Before `on_exit` comes `on_survivors` if processes of the worker are still there: they hold memory.
    """

    def on_progress(self, worker: "WorkerProcess", frame: Progress) -> None: ...

    def on_ready(self, worker: "WorkerProcess", frame: Ready) -> None: ...

    def on_hang_up(self, worker: "WorkerProcess") -> None: ...

    def on_survivors(self, worker: "WorkerProcess", survivors: Mapping[int, str]) -> None: ...

    def on_exit(self, worker: "WorkerProcess", error: str | None, permanent: bool) -> None: ...


class ResidencyListener(Protocol):
    """Told between `on_ready` and `on_hang_up`, once for each `sleep` and `wake` unless the worker ends before.

    A fatal ResidencyFailed is followed by `on_exit` with its message.
    """

    def on_residency(self, worker: "WorkerProcess", frame: ResidencyFrame) -> None: ...


class WorkerProcess:
    """A worker from spawn to reaping. `error` in `on_exit` is None only after `stop()` without a reason.

    `heard_at` is the time of its last frame; `told_error` is what clients may read of `error`.
    """

    def __init__(
        self,
        spec: BackendSpec,
        plan: LaunchPlan,
        timeouts: Timeouts,
        residency: ResidencyListener | None = None,
        members_of: Members = members,
    ) -> None:
        self.spec = spec
        self.backend_id = spec.id  # under which the supervisor keeps it; the spec's while it serves
        self.channel: Channel | None = None
        self.stats: Stats | None = None
        self.load_s: float | None = None
        self.started_at = self.heard_at = time.monotonic()
        self.ready_at: float | None = None
        self.told_error: str | None = None
        self.sleep_levels: tuple[int, ...] = ()
        self._plan = plan
        self._timeouts = timeouts
        self._residency = residency
        self._members_of = members_of
        self._survivors: Mapping[int, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._stop_requested = asyncio.Event()
        self._last_words = LastWords()
        self._num_silent_checks = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def sleep(self, level: int) -> None:
        """Ask a ready worker to sleep at one of its `sleep_levels`; no request may be sent until it is awake."""
        if self.channel is not None:
            self.channel.send(Sleep(level, self._timeouts.sleep_s))

    def wake(self) -> None:
        if self.channel is not None:
            self.channel.send(Wake(self._timeouts.wake_s))

    def stop(self, reason: str | None = None) -> None:
        """Ask the worker to end; with a reason it is killed and its end counts as a failure."""
        self._last_words.kill_reason = self._last_words.kill_reason or reason
        self._stop_requested.set()

    async def run(self, listener: Listener) -> None:
        """Start it and see it through to its end. Never raises for anything the worker does."""
        try:
            status = await self._spawn_and_oversee(listener)
        except OSError as failure:
            error = f"could not start {self._plan.command[0]}: {failure.strerror}"
            self.told_error = NOT_STARTED
            listener.on_exit(self, error, failure.errno not in PASSING_ERRORS)
            return
        words = self._last_words
        end = words.reason(status, is_asked=self._stop_requested.is_set())
        self.told_error = words.told(end)
        log_event("worker.ended", backend=self.spec.id, pid=self.pid, status=status, error=end)
        if self._survivors:
            log_event("worker.survived", backend=self.spec.id, processes=name_them(self._survivors))
            listener.on_survivors(self, self._survivors)
        listener.on_exit(self, end, words.is_permanent)

    async def _spawn_and_oversee(self, listener: Listener) -> int | None:
        """Returns the exit status, None of a process that survived SIGKILL. Raises OSError if none could be started."""
        lifeline_read, lifeline_write = os.pipe()
        try:
            try:
                self._process = await self._spawn(lifeline_read)
            finally:
                os.close(lifeline_read)
            log_event("worker.started", backend=self.spec.id, pid=self._process.pid)
            return await self._oversee(self._process, listener)
        finally:
            os.close(lifeline_write)

    async def _spawn(self, lifeline: int) -> asyncio.subprocess.Process:
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

    async def _oversee(self, process: asyncio.subprocess.Process, listener: Listener) -> int | None:
        """Listen until the worker ends, hangs up, falls silent or is told to stop; end what is left of it."""
        gone = asyncio.create_task(process.wait(), name=f"exit of {self.spec.id}")
        serve = asyncio.create_task(self._serve(process, listener), name=f"serve {self.spec.id}")
        stop = asyncio.create_task(self._stop_requested.wait(), name=f"stop {self.spec.id}")
        watch = asyncio.create_task(self._watch_heartbeat(), name=f"heartbeat of {self.spec.id}")
        try:
            await asyncio.wait({gone, serve, stop}, return_when=asyncio.FIRST_COMPLETED)
            await self._await_orderly_exit(gone, has_hung_up=serve.done())
        finally:
            self._plan.socket.unlink(missing_ok=True)
            self._survivors = await end_group(process.pid, self._timeouts.gone_s, members_of=self._members_of)
            # Only now: a child that inherited the socket would have kept the connection open.
            await asyncio.wait({gone, serve}, timeout=EXIT_GRACE_S)
            for task in (gone, serve, stop, watch):
                task.cancel()
            await asyncio.wait({gone, serve, stop, watch})
        return process.returncode

    async def _await_orderly_exit(self, gone: "asyncio.Task[int]", *, has_hung_up: bool) -> None:
        """Leave time for the worker's own exit, unless it is to be killed."""
        if self._last_words.kill_reason is not None:
            return
        if has_hung_up:
            await asyncio.wait({gone}, timeout=EXIT_GRACE_S)
            if not gone.done():
                self._last_words.kill_reason = "hung up without ending"
        elif self.channel is not None and not gone.done():
            self.channel.expect_end()
            self.channel.send(Shutdown())
            await asyncio.wait({gone}, timeout=self._timeouts.shutdown_s)

    async def _serve(self, process: asyncio.subprocess.Process, listener: Listener) -> None:
        """Tell the listener what the worker says, until it hangs up or says that it cannot load."""
        connection = await self._connect(process)
        if connection is None:
            return
        self.channel = Channel(*connection)
        self.channel.send(Init(PROTOCOL_VERSION, self.spec))
        try:
            async with contextlib.aclosing(self.channel.run()) as frames:
                async for frame in frames:
                    self._on_frame(frame, listener)
                    if self._last_words.load_failure is not None:
                        return
        except FrameError as error:
            self.stop(f"sent no proper frame: {error}")
        finally:
            listener.on_hang_up(self)

    def _on_frame(self, frame: ControlFrame, listener: Listener) -> None:
        self._num_silent_checks = 0
        self.heard_at = time.monotonic()
        if isinstance(frame, Stats):
            self.stats = frame
            if frame.oldest_idle_s > self._timeouts.stall_s:
                self.stop(f"a request made no progress for {frame.oldest_idle_s:.0f} s")
        elif isinstance(frame, Progress):
            listener.on_progress(self, frame)
        elif isinstance(frame, Ready):
            self.load_s, self.ready_at = frame.load_s, self.heard_at
            self.sleep_levels = frame.sleep_levels
            listener.on_ready(self, frame)
        elif isinstance(frame, LoadFailed):
            self._last_words.load_failure = frame
        elif isinstance(frame, Dying):
            self._last_words.illness = frame.reason
        else:
            self._on_residency(frame)

    def _on_residency(self, frame: ResidencyFrame) -> None:
        if isinstance(frame, ResidencyFailed) and frame.is_fatal:
            self._last_words.lost_residency = frame.message
        if self._residency is not None:
            self._residency.on_residency(self, frame)

    async def _watch_heartbeat(self) -> None:
        """Stop a worker that falls silent; before it listens `connect_s` is its limit.

        Counts checks, not time: after a pause of this process the worker gets its full time again.
        """
        timeouts = self._timeouts
        pause_s = min(timeouts.heartbeat_s, timeouts.load_heartbeat_s) / CHECKS_PER_HEARTBEAT
        while self._num_silent_checks * pause_s <= self._longest_silence_s:
            await asyncio.sleep(pause_s)
            if (
                self.channel is not None and not self._stop_requested.is_set()
            ):  # one that closes does not beat
                self._num_silent_checks += 1
        self.stop(f"no sign of life for {self._longest_silence_s:g} s")

    @property
    def _longest_silence_s(self) -> float:
        timeouts = self._timeouts
        return timeouts.heartbeat_s if self.load_s is not None else timeouts.load_heartbeat_s

    async def _connect(
        self, process: asyncio.subprocess.Process
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect as soon as the worker listens; None when it ended or took too long."""
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                while process.returncode is None:
                    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                        return await asyncio.open_unix_connection(str(self._plan.socket))
                    await asyncio.sleep(CONNECT_POLL_S)
        except TimeoutError:
            self.stop(f"did not listen within {self._timeouts.connect_s:g} s")
        return None
