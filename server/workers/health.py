"""How a backend is doing: from answers that it gave and frames that it sent, not from what it says of itself.

Reads records and workers, changes neither.
"""

import asyncio
import datetime
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from server.workers.probe import probe
from server.workers.process import WorkerProcess
from server.workers.record import Record
from server.workers.status import WorkerState

Utc = Callable[[float], datetime.datetime]
_BUSY_CODES = (ErrorCode.BACKEND_RATE_LIMITED,)
_GONE_CODES = (ErrorCode.MODEL_UNAVAILABLE, ErrorCode.SHUTTING_DOWN)


class LastAnswer(msgspec.Struct, frozen=True):
    """The last real answer of the present worker: the one that ended its load, or one to a request or a probe."""

    at: datetime.datetime
    age_s: float
    took_s: float | None
    source: Literal["load", "request"]


class WorkerHealth(msgspec.Struct, frozen=True):
    """The process. `heartbeat_age_s`: since its last frame, of which there is one each second. `oldest_idle_s`: for how
    long the stillest running request has shown nothing while the engine took no step either.
    """

    pid: int | None
    age_s: float
    heartbeat_age_s: float
    in_flight: int = 0
    oldest_idle_s: float = 0.0
    host_bytes: int = 0
    engine: EngineStats = EngineStats()


class Crashes(msgspec.Struct, frozen=True):
    """`deaths` of at most `max_deaths` happened in the last `window_s`; so many, and the model is given up until
    `retry_in_s` have passed (None: nothing to wait for). `last_reason` is told for as long as the server runs.
    """

    deaths: int
    max_deaths: int
    window_s: float
    is_given_up: bool
    retry_in_s: float | None
    last_at: datetime.datetime | None
    last_reason: str | None


class BackendHealth(msgspec.Struct, frozen=True):
    """`is_ready`: a request would be answered now; a worker becomes so by a real answer only. `last_error` is what went
    wrong since it was ready last.
    """

    backend_id: str
    is_ready: bool
    state: WorkerState
    detail: str | None
    since: datetime.datetime
    in_flight: int
    waiting: int
    restarts: int
    last_error: str | None
    last_answer: LastAnswer | None
    worker: WorkerHealth | None
    crashes: Crashes


class Outcome(msgspec.Struct, frozen=True):
    """What became of a probe. `busy`: no answer in time, but the model computed for others meanwhile, or is full."""

    outcome: Literal["answered", "busy", "failed", "timed_out", "not_ready"]
    took_s: float = 0.0
    code: ErrorCode | None = None
    message: str | None = None

    @property
    def is_healthy(self) -> bool:
        return self.outcome in ("answered", "busy")


def health_of(record: Record, worker: WorkerProcess | None, now: float, utc: Utc) -> BackendHealth:
    """`utc` turns a time of `now`'s clock into one of the wall."""
    return BackendHealth(
        backend_id=record.spec.id,
        is_ready=record.is_serving,
        state=record.state,
        detail=record.detail,
        since=utc(record.since),
        in_flight=len(record.leases),
        waiting=len(record.waiting),
        restarts=record.restarts,
        last_answer=_last_answer(worker, now, utc) if worker else None,
        worker=_worker_health(worker, now) if worker else None,
        last_error=record.last_error,
        crashes=_crashes(record, now, utc),
    )


async def check(worker: WorkerProcess, limit_s: float) -> Outcome:
    """Ask the worker's model for a small answer. Takes no lease: it keeps no model loaded, and waits for no place."""
    if worker.channel is None:
        return Outcome("not_ready")
    started = time.monotonic()
    before = _progress(worker)
    try:
        async with asyncio.timeout(limit_s):
            await probe(worker.channel, worker.spec)
    except TimeoutError:
        is_busy = _progress(worker) != before
        return Outcome("busy" if is_busy else "timed_out", limit_s, ErrorCode.BACKEND_TIMEOUT)
    except EngineError as error:
        took_s = round(time.monotonic() - started, 3)
        return Outcome(_outcome_of(error.code), took_s, error.code, error.message)
    return Outcome("answered", round(time.monotonic() - started, 3))


def _outcome_of(code: ErrorCode) -> Literal["busy", "not_ready", "failed"]:
    if code in _BUSY_CODES:
        return "busy"
    return "not_ready" if code in _GONE_CODES else "failed"


def _progress(worker: WorkerProcess) -> tuple[object, ...]:
    """Whatever of it changes when the model computes."""
    steps = worker.stats.engine.steps if worker.stats else 0
    return (steps, worker.channel.last_answer if worker.channel else None)


def _last_answer(worker: WorkerProcess, now: float, utc: Utc) -> LastAnswer | None:
    answer = worker.channel.last_answer if worker.channel else None
    if answer is not None:
        age_s = round(now - answer.at, 3)
        return LastAnswer(utc(answer.at), age_s, round(answer.took_s, 3), "request")
    if worker.ready_at is None:
        return None
    return LastAnswer(utc(worker.ready_at), round(now - worker.ready_at, 3), None, "load")


def _worker_health(worker: WorkerProcess, now: float) -> WorkerHealth:
    stats = worker.stats
    ages = round(now - worker.started_at, 3), round(now - worker.heard_at, 3)
    if stats is None:
        return WorkerHealth(worker.pid, *ages)
    return WorkerHealth(
        worker.pid, *ages, stats.in_flight, round(stats.oldest_idle_s, 3), stats.host_bytes, stats.engine
    )


def _crashes(record: Record, now: float, utc: Utc) -> Crashes:
    policy, last = record.deaths.policy, record.deaths.last
    is_waiting = record.state in (WorkerState.FAILED, WorkerState.QUEUED) and record.not_before > now
    return Crashes(
        deaths=record.deaths.num_recent(now),
        max_deaths=policy.max_deaths,
        window_s=policy.window_s,
        is_given_up=record.state is WorkerState.FAILED,
        retry_in_s=round(record.not_before - now, 3) if is_waiting else None,
        last_at=utc(last[0]) if last else None,
        last_reason=last[1] if last else None,
    )
