"""Works off all batches of the store: takes over what nobody holds, and brings each to its end. Knows no HTTP.

The database is the only truth: a runner that dies leaves rows from which the next one goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.board import Board
from server.batch.job import Job, nobody
from server.batch.lines import LineSource
from server.batch.persisting import persist
from server.batch.results import publish
from server.batch.states import CANCELLABLE, BatchState, Outcome
from server.batch.validation import BatchLostError, check_file, clear_lines, now, store_lines
from server.errors import ServiceError
from server.failpoints import reach
from server.files import FileStore
from server.keys import KeyRing
from server.store.database import Database
from server.telemetry import Metrics, log_event

TICK_S = 1.0
LEASE_S = 10.0  # of a store that several servers share
GRACE_S = 5.0  # for lines under way when their batch is cancelled or expires; promise B4 says 10
RETRY_S = 5.0


class Limits(NamedTuple):
    """Of one input."""

    max_lines: int
    max_line_bytes: int


class BatchRunner:
    """`id` names this process in the store. `ended` is called with the end of each batch."""

    def __init__(
        self,
        id: str,
        database: Database,
        files: FileStore,
        keys: KeyRing,
        board: Board,
        metrics: Metrics,
        *,
        limits: Limits,
        webhooks: str | None,
        ended: Callable[[], None],
        now: Callable[[], datetime] = now,
        grace_s: float = GRACE_S,
    ) -> None:
        self.id = id
        self._database = database
        self._files = files
        self._keys = keys
        self._board = board
        self._metrics = metrics
        self._limits = limits
        self._webhooks = webhooks
        self._ended = ended
        self._now = now
        self._grace_s = grace_s
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
                await self._pause()
        finally:
            await self._close()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        except TimeoutError:
            return

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
        if caller is not None:
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
            await self._bring_to_its_end(job)
        except BatchLostError:
            log_event("batch.lost", name=job.batch.id)
        except (ServiceError, OSError) as error:
            log_event("batch.interrupted", level=logging.ERROR, name=job.batch.id, exception=error)
            await asyncio.sleep(RETRY_S)
        finally:
            self._board.drop(job)

    async def _bring_to_its_end(self, job: Job) -> None:
        """Each step is told to the store before the next begins, so that any runner can go on from there."""
        if job.batch.state is BatchState.VALIDATING:
            await self._validate(job)
        if job.batch.state is BatchState.IN_PROGRESS:
            await self._run_lines(job)
        if job.batch.state is BatchState.CANCELLING and job.batch.started_at is None:
            await clear_lines(self._database, job.batch.id)
        if not job.batch.state.has_ended:
            await self._close_lines(job)
            job.batch = await publish(
                self._database, self._files, job.batch, now=self._now, told=self._webhooks
            )
        log_event("batch.ended", name=job.batch.id, state=job.batch.state, count=job.batch.counts.total)
        self._ended()
        await clear_lines(self._database, job.batch.id)

    async def _validate(self, job: Job) -> None:
        batch = job.batch
        await clear_lines(self._database, batch.id)
        path = self._files.path(batch.input_file_id)
        checked = await check_file(
            path, batch, max_lines=self._limits.max_lines, max_line_bytes=self._limits.max_line_bytes
        )
        reach("batch.validating")
        moment = self._now()
        if checked.problems:
            await self._step(
                job,
                lambda connection: tables.refuse(connection, batch, checked.problems, moment, self._webhooks),
            )
            job.enter(BatchState.FAILED, problems=checked.problems)
            return
        await store_lines(self._database, batch, checked)
        total = len(checked.lines)
        await self._step(job, lambda connection: tables.begin(connection, batch, total=total, now=moment))
        job.enter(BatchState.IN_PROGRESS, started_at=moment)
        reach("batch.validated")

    async def _run_lines(self, job: Job) -> None:
        batch_id = job.batch.id
        models = await self._database.read(lambda connection: line_tables.open_models(connection, batch_id))
        path = self._files.path(job.batch.input_file_id)
        job.expect(sum(models.values()))
        self._board.add(job, {model: LineSource(self._database, batch_id, model, path) for model in models})
        await job.until_settled()
        self._board.drop(job)
        await job.wind_up(self._grace_s)

    async def _close_lines(self, job: Job) -> None:
        """Lines that have no outcome get the one that the end of the batch gives them."""
        batch, moment, outcome = job.batch, self._now(), job.ending

        def write(connection: Connection) -> bool:
            if batch.state is BatchState.IN_PROGRESS and not tables.begin_finalizing(
                connection, batch, moment
            ):
                return False
            if outcome is not None:
                line_tables.close_open(connection, batch.id, outcome)
            return True

        if batch.state is BatchState.CANCELLING:
            outcome = Outcome.CANCELLED
        await self._step(job, write)
        if batch.state is BatchState.IN_PROGRESS:
            job.enter(BatchState.FINALIZING)

    async def _step(self, job: Job, write: Callable[[Connection], bool]) -> None:
        """Raises BatchLostError where the state has changed meanwhile."""
        if not await persist(self._database, write):
            raise BatchLostError

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
