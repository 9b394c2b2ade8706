"""Carries out one line: claims it, runs it, and gives it its outcome, however that takes. Knows no batch as a whole."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from secrets import token_hex

from sqlalchemy import Connection

from server.batch import line_tables
from server.batch.job import Job
from server.batch.line_answer import LineAnswer, LineFailure, answered_line, refusal, unanswered_line
from server.batch.line_input import LineProblem, read_line
from server.batch.line_order import LineOrder
from server.batch.line_runner import LineRunner
from server.batch.lines import Loaded, load_line
from server.batch.persisting import insist, persist
from server.batch.states import Outcome
from server.batch.verdicts import Verdict, judge, wait_s
from server.disk import DiskGuard
from server.envelope import internal_error
from server.errors import ServiceError
from server.failpoints import reach
from server.files import FileStore
from server.store.database import Database
from server.telemetry import Metrics, log_event

LAST_WRITE_S = 2.0


class LineLostError(Exception):
    """The line is not ours any more: its batch was cancelled, or another runner has it."""


class LineWork:
    """What every lane does with its lines."""

    def __init__(
        self, database: Database, lines: LineRunner, files: FileStore, disk: DiskGuard, metrics: Metrics
    ) -> None:
        self._database = database
        self._lines = lines
        self._files = files
        self._disk = disk
        self._metrics = metrics

    async def carry_out(self, job: Job, loaded: Loaded) -> Loaded | None:
        """Until the line has an outcome or is lost: None; or must be run again alone: the line as it is then."""
        num_waits = num_failures = 0
        current: Loaded | None = loaded
        while current is not None:
            attempt = _Attempt(self._database, job, current)
            error = await self._try(attempt)
            if error is None:
                return None
            num_failures += 1
            deaths = current.line.deaths + error.worker_died
            verdict = judge(error, deaths=deaths, failures=num_failures)
            if verdict in (Verdict.RECORD, Verdict.CRASHED):
                await self._record_failure(attempt, error, verdict)
                return None
            if verdict is Verdict.SUSPECT:
                return await self._count_death(attempt)
            num_failures -= verdict is Verdict.WAIT
            await asyncio.sleep(wait_s(error, num_waits))
            num_waits += 1
            current = await self._reload(current)
        return None

    async def _try(self, attempt: "_Attempt") -> ServiceError | None:
        """Why there is no outcome, unless the line is lost."""
        try:
            self._disk.check()
            answer = await self._lines.run(attempt.loaded.raw, attempt.order, attempt.claim)
        except LineLostError:
            return None
        except ServiceError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug of ours in one line must not hold up its batch for ever
            log_event("line.crashed", level=logging.ERROR, exception=error)
            return internal_error()
        await self._record(attempt, Outcome.COMPLETED, answer)
        return None

    async def _record_failure(self, attempt: "_Attempt", error: ServiceError, verdict: Verdict) -> None:
        answer = None
        if verdict is Verdict.RECORD:
            answer = refusal(error, _url_of(attempt.loaded.raw), attempt.order.request_id)
        await self._record(attempt, Outcome.FAILED, answer)

    async def _record(self, attempt: "_Attempt", outcome: Outcome, answer: LineAnswer | None) -> None:
        """`answer` None: workers died of the line."""
        line, number = attempt.loaded.line, attempt.number
        told = max(number, 1)
        where = (line.batch_id, line.line_no, line.custom_id)
        content = (
            unanswered_line(*where, failure=LineFailure.WORKER_CRASHED, attempts=told)
            if answer is None
            else answered_line(*where, answer=answer, attempts=told)
        )

        def write(connection: Connection) -> bool:
            if not line_tables.record(connection, line, number, outcome, content):
                return line_tables.was_recorded(connection, line, number)
            for file in answer.files if answer else ():
                self._files.insert(connection, file)
            return True

        reach("line.before_commit")
        is_ours = await _finished(persist(self._database, write))
        reach("line.after_commit")
        if not is_ours:
            log_event("line.fenced", attempt=number)
            return
        self._metrics.count_line(line.model, outcome, time.monotonic() - attempt.begun_at)
        attempt.job.end_line()

    async def _count_death(self, attempt: "_Attempt") -> Loaded | None:
        line, number = attempt.loaded.line, attempt.number
        await persist(self._database, lambda connection: line_tables.count_death(connection, line, number))
        return await self._reload(attempt.loaded)

    async def _reload(self, loaded: Loaded) -> Loaded | None:
        """As the store has it now; waits for a store that is away."""
        return await insist(lambda: load_line(self._database, loaded.line, loaded.raw))


class _Attempt:
    """One try of a line. `number` is that of the last claim that is known to be ours."""

    def __init__(self, database: Database, job: Job, loaded: Loaded) -> None:
        self.job = job
        self.loaded = loaded
        self.number = loaded.line.attempt
        self.begun_at = time.monotonic()
        batch = job.batch
        self.order = LineOrder(
            caller=job.caller,
            batch_id=batch.id,
            line_no=loaded.line.line_no,
            base_url=batch.base_url,
            kept_until=batch.kept_until,
            request_id="req_" + token_hex(12),
        )
        self._database = database

    async def claim(self) -> None:
        """Durable before the line goes to a worker. Raises LineLostError, ServiceError of the store."""
        batch, line = self.job.batch, self.loaded.line
        if not self.job.is_open:
            raise LineLostError
        if not await self._database.write(lambda connection: line_tables.claim(connection, batch, line)):
            raise LineLostError
        self.number = line.attempt + 1
        reach("line.claimed")


async def _finished(recording: Coroutine[None, None, bool]) -> bool:
    """Whoever is cancelled here has an outcome in hand: a moment more, and it need not be computed again."""
    task = asyncio.create_task(recording, name="line.record")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=LAST_WRITE_S)
        task.cancel()
        raise


def _url_of(raw: bytes) -> str:
    """Which dialect the line wants to be told a failure in; native where it does not say."""
    try:
        return read_line(raw).url
    except LineProblem:
        return ""
