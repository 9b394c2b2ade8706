"""Joins the work of different requests into batches for one compute thread; knows neither models nor requests.

While a batch is computed, jobs pile up; the next batch is chosen from all that wait then. So batches grow with the load
and a lone job never waits for company.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from engines.runtime.blocking import ComputeThread

_Work = TypeVar("_Work")
_Answer = TypeVar("_Answer")


class Job(Generic[_Work, _Answer]):
    """One piece of work, waiting or being computed. `is_cancelled` may be read from the compute thread."""

    def __init__(self, work: _Work, priority: int, on_progress: Callable[[int, int], None] | None) -> None:
        self.work = work
        self.priority = priority
        self.is_cancelled = False
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[_Answer] = self._loop.create_future()

    def tell_progress(self, step: int, num_steps: int) -> None:
        """Call from the compute thread; arrives on the event loop as `on_progress(step, num_steps)`."""
        if self._on_progress is not None and not self.is_cancelled:
            self._loop.call_soon_threadsafe(self._on_progress, step, num_steps)

    async def answer(self) -> _Answer:
        return await self._done

    def abandon(self) -> None:
        """Nobody waits for the answer any more, or it has been taken."""
        self._done.cancel()
        if self._done.cancelled():
            self.is_cancelled = True
        else:
            self._done.exception()  # seen: asyncio reports errors that nobody has looked at

    def finish(self, answer: _Answer) -> None:
        if not self._done.done():
            self._done.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if not self._done.done():
            self._done.set_exception(error)


Choose = Callable[[Sequence[Job[_Work, _Answer]]], list[Job[_Work, _Answer]]]
"""Which of the waiting jobs (at least one, most urgent and then oldest first) make up the next batch (at least one)."""
Compute = Callable[[list[Job[_Work, _Answer]]], Sequence[_Answer | BaseException]]
"""Runs on the compute thread; one answer, or the error that its request shall get, for each job, in order."""


class Batcher(Generic[_Work, _Answer]):
    """Owns the jobs that wait. `steps` counts finished batches: while it rises, nothing is stuck."""

    def __init__(
        self,
        thread: ComputeThread,
        *,
        choose: Choose[_Work, _Answer],
        compute: Compute[_Work, _Answer],
    ) -> None:
        self._thread = thread
        self._choose = choose
        self._compute = compute
        self._waiting: list[Job[_Work, _Answer]] = []
        self._runner: asyncio.Task[None] | None = None
        self.num_running = 0
        self.steps = 0

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    async def run(
        self, work: _Work, priority: int, on_progress: Callable[[int, int], None] | None = None
    ) -> _Answer:
        """Compute `work` in some batch. Cancelled while it waits, it is never computed; while it is computed, its job
        says so and `compute` may stop early. An error that `compute` raises reaches every job of the batch.
        """
        (answer,) = await self.run_all([work], priority, on_progress)
        return answer

    async def run_all(
        self, works: Sequence[_Work], priority: int, on_progress: Callable[[int, int], None] | None = None
    ) -> list[_Answer]:
        """As `run` for the pieces of one request; answers in order. One that fails fails all, and what has not begun by
        then is never computed.
        """
        jobs: list[Job[_Work, _Answer]] = [Job(work, priority, on_progress) for work in works]
        self._waiting += jobs
        if self._runner is None:
            self._runner = asyncio.create_task(self._run_batches(), name="batcher")
        try:
            return [await job.answer() for job in jobs]
        finally:
            for job in jobs:
                job.abandon()

    async def _run_batches(self) -> None:
        await asyncio.sleep(0)  # jobs of the same turn of the event loop come into the first batch
        while self._take_cancelled_out():
            batch = self._choose(sorted(self._waiting, key=lambda job: job.priority))
            chosen = set(batch)
            self._waiting = [job for job in self._waiting if job not in chosen]
            self.num_running = len(batch)
            (outcome,) = await asyncio.gather(self._thread.run(self._compute, batch), return_exceptions=True)
            self.num_running = 0
            self.steps += 1
            answers = [outcome] * len(batch) if isinstance(outcome, BaseException) else outcome
            for job, answer in zip(batch, answers, strict=True):
                job.fail(answer) if isinstance(answer, BaseException) else job.finish(answer)
        self._runner = None  # in the same turn as the look at the waiting jobs: none can slip in between

    def _take_cancelled_out(self) -> bool:
        """Whether any job is left."""
        self._waiting = [job for job in self._waiting if not job.is_cancelled]
        return bool(self._waiting)
