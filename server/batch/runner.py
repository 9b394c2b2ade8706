"""Works off all batches of the store: takes over what nobody holds, and brings each to its end. Knows no HTTP.

The database is the only truth: a runner that dies leaves rows from which the next one goes on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from server.batch import tables
from server.batch.board import Board
from server.batch.course import Course
from server.batch.job import Job, nobody
from server.batch.states import CANCELLABLE, BatchState, Outcome
from server.batch.validation import BatchLostError
from server.caller import Permission
from server.clock import utc_now
from server.disk import DiskGuard
from server.errors import ServiceError
from server.failpoints import reach
from server.keys import KeyRing
from server.store.database import Database
from server.telemetry import Metrics, log_event

TICK_S = 1.0
LEASE_S = 10.0  # of a store that several servers share
RETRY_S = 5.0


class BatchRunner:
    """`id` names this process in the store. `ended` is called with the end of each batch."""

    def __init__(
        self,
        id: str,
        database: Database,
        board: Board,
        course: Course,
        *,
        keys: KeyRing,
        disk: DiskGuard,
        metrics: Metrics,
        ended: Callable[[], None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.id = id
        self._database = database
        self._board = board
        self._course = course
        self._keys = keys
        self._disk = disk
        self._metrics = metrics
        self._ended = ended
        self._now = now
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._lease_s = LEASE_S if database.is_shared else None
        self._renewed_at = 0.0

    def wake(self) -> None:
        """There is something new in the store."""
        self._wake.set()

    def cancel(self, batch_id: str) -> None:
        """The store has been told already: no new line of it starts from here on."""
        if job := self._jobs.get(batch_id):
            job.enter(BatchState.CANCELLING)
            job.stop(Outcome.CANCELLED)

    async def run(self) -> None:
        """For ever; cancelled, lines under way go back and every batch is free for the next runner."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._look()
                except ServiceError as error:
                    log_event("batch.store_away", code=error.code)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await self._wake.wait()
        finally:
            await self._close()

    async def _look(self) -> None:
        """Compare the store with what is under way."""
        found = await self._database.read(self._survey)
        held = found.held
        if found.num_free or (held and self._is_renewal_due()):
            held = await self._database.write(self._take_over)
            self._renewed_at = time.monotonic()
            reach("lease.renewed")
        for batch_id in self._jobs.keys() - held.keys():
            self._abandon(batch_id)
        for batch_id, (state, epoch) in held.items():
            await self._follow(batch_id, state, epoch)
        self._metrics.set_batches(found.states)
        self._metrics.set_batch_paused(not self._disk.has_room())
        self._board.choose()

    def _is_renewal_due(self) -> bool:
        return self._lease_s is not None and time.monotonic() - self._renewed_at > self._lease_s / 4

    def _survey(self, connection: Connection) -> "_Survey":
        return _Survey(
            num_free=tables.count_free(connection, self.id, lease_s=self._lease_s),
            held=tables.held(connection, self.id),
            states=tables.count_by_state(connection),
        )

    def _take_over(self, connection: Connection) -> dict[str, tuple[BatchState, int]]:
        tables.take_over(connection, self.id, lease_s=self._lease_s, now=self._now())
        return tables.renew(connection, self.id, lease_s=self._lease_s)

    async def _follow(self, batch_id: str, state: BatchState, epoch: int) -> None:
        job = self._jobs.get(batch_id)
        if job is not None and job.batch.epoch != epoch:
            self._abandon(batch_id)
            job = None
        if job is None:
            await self._take_up(batch_id)
        elif state is BatchState.CANCELLING:
            self.cancel(batch_id)
        elif job.is_due(self._now()):
            reach("expiry.found")
            job.stop(Outcome.EXPIRED)
        else:
            await self._check_owner(job)

    async def _take_up(self, batch_id: str) -> None:
        if batch_id in self._tasks:  # still winding up what was abandoned
            return
        batch = await self._database.read(lambda connection: tables.find_batch(connection, batch_id))
        if batch is None:
            return
        job = Job(batch, nobody(batch.owner))
        await self._check_owner(job)
        if job.is_due(self._now()):
            job.stop(Outcome.EXPIRED)
        self._jobs[batch_id] = job
        task = asyncio.create_task(self._work(job), name=f"batch {batch_id}")
        self._tasks[batch_id] = task
        task.add_done_callback(lambda _: self._forget(batch_id, job))

    async def _check_owner(self, job: Job) -> None:
        """A batch runs with the rights that its key has now; with the key ends the batch."""
        caller = await self._keys.owner(job.batch.owner)
        if caller is not None and caller.may(Permission.MODELS_USE):
            job.caller = caller
        elif job.is_open and job.batch.state in CANCELLABLE:
            log_event("batch.key_gone", key_id=job.batch.owner)
            moment = self._now()
            await self._database.write(
                lambda connection: tables.begin_cancelling(connection, job.batch.id, moment)
            )
            job.enter(BatchState.CANCELLING)
            job.stop(Outcome.CANCELLED)

    def _abandon(self, batch_id: str) -> None:
        """Another runner has it."""
        job = self._jobs[batch_id]
        self._board.drop(job)
        for task in (self._tasks[batch_id], *job.tasks):
            task.cancel()

    def _forget(self, batch_id: str, job: Job) -> None:
        del self._tasks[batch_id]
        if self._jobs.get(batch_id) is job:
            del self._jobs[batch_id]
        self.wake()

    async def _work(self, job: Job) -> None:
        try:
            await self._course.finish(job)
            self._ended()
        except BatchLostError:
            log_event("batch.lost", name=job.batch.id)
        except Exception as error:  # noqa: BLE001 - the outermost handler of a batch: it is taken up again
            log_event("batch.interrupted", level=logging.ERROR, name=job.batch.id, exception=error)
            await asyncio.sleep(RETRY_S)
        finally:
            self._board.drop(job)

    async def _close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await self._board.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._database.write(lambda connection: tables.release(connection, self.id))
        except ServiceError as error:
            log_event("batch.not_released", code=error.code)


class _Survey(NamedTuple):
    num_free: int
    held: dict[str, tuple[BatchState, int]]
    states: dict[str, int]
