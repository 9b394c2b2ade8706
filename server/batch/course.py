"""The course of one batch, from its input to its files, step by step. Knows no other batch and no lease."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.board import Board
from server.batch.job import Job
from server.batch.lines import LineSource
from server.batch.persisting import persist
from server.batch.results import publish
from server.batch.states import BatchState, Outcome
from server.batch.validation import BatchLostError, check_file, clear_lines, store_lines
from server.clock import utc_now
from server.failpoints import reach
from server.files import FileStore
from server.store.database import Database
from server.telemetry import log_event

GRACE_S = 5.0  # for lines under way when their batch is cancelled or expires; promise B4 says 10


class Limits(NamedTuple):
    """Of one input."""

    max_lines: int
    max_line_bytes: int


class Course:
    """`webhooks` is what an ended batch's webhook state becomes; None if nobody wants to be told."""

    def __init__(
        self,
        database: Database,
        files: FileStore,
        board: Board,
        *,
        limits: Limits,
        webhooks: str | None,
        now: Callable[[], datetime] = utc_now,
        grace_s: float = GRACE_S,
    ) -> None:
        self._database = database
        self._files = files
        self._board = board
        self._limits = limits
        self._webhooks = webhooks
        self._now = now
        self._grace_s = grace_s

    async def finish(self, job: Job) -> None:
        """Each step is told to the store before the next begins, so that any runner can go on from there.

        Raises BatchLostError where the store says that the batch is not ours any more, or is in another state.
        """
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
