"""One lane per backend: takes lines of all batches in turn and keeps the backend busy with them. Knows no store."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from server.batch.job import Job
from server.batch.lines import Loaded
from server.errors import ServiceError
from server.telemetry import log_event

RETRY_S = 5.0


class Source(Protocol):
    """Lines of one job: `server.batch.lines.LineSource`."""

    async def next(self) -> Loaded | None: ...


class Work(Protocol):
    """What is done with a line: `server.batch.work.LineWork`."""

    async def carry_out(self, job: Job, loaded: Loaded) -> Loaded | None: ...


class _Turn(NamedTuple):
    job: Job
    source: Source


class _Suspect(NamedTuple):
    job: Job
    loaded: Loaded


class Lane:
    """`room()` is how many lines may be under way.

    A line in flight when a worker died runs again alone: if the worker dies again, it was that line, and the others
    that were in flight beside it are not blamed.
    """

    def __init__(self, work: Work, room: Callable[[], int], *, retry_s: float = RETRY_S) -> None:
        self._work = work
        self._retry_s = retry_s
        self._room = room
        self._turns: deque[_Turn] = deque()
        self._suspects: deque[_Suspect] = deque()
        self._running: dict[asyncio.Task[Loaded | None], Job] = {}
        self._is_alone = False
        self._moved = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        return not (self._turns or self._suspects or self._running)

    def add(self, job: Job, source: Source) -> None:
        self._turns.append(_Turn(job, source))
        self._moved.set()

    def drop(self, job: Job) -> None:
        """No further line of it starts; those under way are the job's."""
        self._turns = deque(turn for turn in self._turns if turn.job is not job)
        self._suspects = deque(suspect for suspect in self._suspects if suspect.job is not job)

    async def run(self) -> None:
        """Until nothing is left to do; cancelled, it aborts what is under way."""
        try:
            while not self.is_idle:
                self._moved.clear()
                await self._fill()
                if self._running:
                    await self._moved.wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _fill(self) -> None:
        while len(self._running) < self._room() and not self._is_alone:
            if self._suspects:
                if not self._running:
                    suspect = self._suspects.popleft()
                    self._is_alone = True
                    self._start(suspect.job, suspect.loaded)
                return
            if not self._turns:
                return
            await self._start_next(self._turns.popleft())

    async def _start_next(self, turn: _Turn) -> None:
        try:
            loaded = await turn.source.next()
        except (ServiceError, OSError) as error:
            log_event("batch.input_unreadable", reason=type(error).__name__)
            self._turns.append(turn)
            await asyncio.sleep(self._retry_s)
            return
        if loaded is None or not turn.job.is_open:
            return
        self._turns.append(turn)
        if loaded.line.deaths:
            self._suspects.append(_Suspect(turn.job, loaded))
        else:
            self._start(turn.job, loaded)

    def _start(self, job: Job, loaded: Loaded) -> None:
        task = asyncio.create_task(self._work.carry_out(job, loaded), name="batch.line")
        self._running[task] = job
        job.tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[Loaded | None]") -> None:
        job = self._running.pop(task)
        job.tasks.discard(task)
        if not self._running:
            self._is_alone = False
        self._moved.set()
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            job.break_off(error)
        elif (again := task.result()) is not None and job.is_open:
            self._suspects.append(_Suspect(job, again))
