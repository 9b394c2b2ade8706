"""Decides which workers start and stop and which requests get a lease; pure: events and times in, actions out.

It knows neither processes nor sockets nor clocks: the supervisor tells it what happened and carries out what it answers.
"""

import math
from collections.abc import Callable, Iterable

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from server.workers.backoff import DeathRecord, RestartPolicy
from server.workers.status import WorkerState


class StartWorker(msgspec.Struct, frozen=True):
    backend_id: str


class StopWorker(msgspec.Struct, frozen=True):
    """End the worker; `reason` is None for an orderly stop, else why it is killed."""

    backend_id: str
    reason: str | None = None


class Grant(msgspec.Struct, frozen=True):
    ticket: int
    backend_id: str


class Refuse(msgspec.Struct, frozen=True):
    ticket: int
    error: EngineError


Action = StartWorker | StopWorker | Grant | Refuse


class Record:
    """All that is known about one backend. Only the scheduler writes it."""

    def __init__(self, spec: BackendSpec, policy: RestartPolicy) -> None:
        self.spec = spec
        self.state = WorkerState.STOPPED
        self.detail: str | None = None
        self.since = 0.0
        self.leases: set[int] = set()
        self.waiting: dict[int, float] = {}  # ticket -> deadline, in order of arrival
        self.deaths = DeathRecord(policy)
        self.not_before = 0.0
        self.is_doomed = False  # told to end for loading too long, has not ended yet
        self.restarts = 0
        self.last_error: str | None = None

    def enter(self, state: WorkerState, now: float, detail: str | None = None) -> None:
        if state is not self.state:
            self.since = now
        self.state = state
        self.detail = detail


class Scheduler:
    """State machine over all backends. `jitter()` returns 0..1; times are seconds of one monotonic clock."""

    def __init__(
        self, specs: Iterable[BackendSpec], policy: RestartPolicy, jitter: Callable[[], float], now: float
    ) -> None:
        self._policy = policy
        self._jitter = jitter
        self._draining = False
        self._holder: dict[int, Record] = {}  # ticket -> its backend
        self.records = {spec.id: Record(spec, policy) for spec in specs}
        for record in self.records.values():
            record.since = now

    def on_request(self, now: float, ticket: int, backend_id: str) -> list[Action]:
        """Someone wants a lease."""
        record = self.records[backend_id]
        if self._draining:
            return [Refuse(ticket, shutting_down())]
        if record.state is WorkerState.FAILED and now < record.not_before:
            return [Refuse(ticket, _unavailable(record, now))]
        limits = record.spec.limits
        is_ready = record.state is WorkerState.READY
        if is_ready and len(record.leases) < limits.max_concurrency:
            return [self._grant(record, ticket)]
        if len(record.waiting) >= limits.max_queue:
            return [Refuse(ticket, _overloaded(record))]
        record.waiting[ticket] = now + (limits.queue_timeout_s if is_ready else limits.load_timeout_s)
        self._holder[ticket] = record
        return self.on_load(now, backend_id)

    def on_leave(self, now: float, ticket: int) -> list[Action]:
        """The holder of a lease has finished, or someone who waited has gone."""
        record = self._holder.pop(ticket, None)
        if record is None:
            return []
        record.waiting.pop(ticket, None)
        record.leases.discard(ticket)
        if record.state is WorkerState.DRAINING and not record.leases:
            return [StopWorker(record.spec.id)]
        return self._serve_waiting(record)

    def on_load(self, now: float, backend_id: str) -> list[Action]:
        """Bring the backend up if it is down."""
        record = self.records[backend_id]
        if self._draining or record.state not in (WorkerState.STOPPED, WorkerState.FAILED):
            return []
        record.enter(WorkerState.QUEUED, now)
        return self._start_queued(now)

    def on_stop(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend down: running requests end, a failure record is forgiven."""
        record = self.records[backend_id]
        record.deaths.clear()
        record.not_before = now
        if record.state in (WorkerState.FAILED, WorkerState.QUEUED):
            record.enter(WorkerState.STOPPED, now)
            return self._refuse_waiting(record, _stopped(record))
        if not record.state.has_process:
            return []
        record.enter(WorkerState.DRAINING, now)
        return [] if record.leases else [StopWorker(backend_id)]

    def on_progress(self, now: float, backend_id: str, state: WorkerState, detail: str) -> None:
        """The worker reports a phase of its coming up."""
        record = self.records[backend_id]
        if record.state.is_coming_up:
            record.enter(state, now, detail)

    def on_ready(self, now: float, backend_id: str) -> list[Action]:
        record = self.records[backend_id]
        if not record.state.is_coming_up:
            return []
        record.enter(WorkerState.READY, now)
        record.last_error = None
        deadline = now + record.spec.limits.queue_timeout_s
        record.waiting = dict.fromkeys(record.waiting, deadline)
        return self._serve_waiting(record) + self._start_queued(now)

    def on_exit(
        self, now: float, backend_id: str, error: str | None, *, permanent: bool = False
    ) -> list[Action]:
        """The worker's process is gone; `error` is None after an orderly stop."""
        record = self.records[backend_id]
        record.is_doomed = False
        was_ready_s = now - record.since if record.state is WorkerState.READY else 0.0
        if record.state is WorkerState.DRAINING or error is None:
            record.enter(WorkerState.STOPPED, now)
            again = self.on_load(now, backend_id) if record.waiting else []
            return again + self._start_queued(now)
        record.last_error = error
        record.restarts += 1
        record.deaths.add(now, lived_ready_s=was_ready_s)
        if permanent or record.deaths.is_hopeless:
            record.not_before = now + self._policy.failed_s
            record.deaths.clear()
            record.enter(WorkerState.FAILED, now, error)
            return self._refuse_waiting(record, _unavailable(record, now)) + self._start_queued(now)
        record.not_before = now + record.deaths.delay_s(self._jitter())
        record.enter(WorkerState.QUEUED, now, f"restarting after: {error}")
        return self._start_queued(now)

    def on_drain(self, now: float) -> list[Action]:
        """The server is going down: no new leases, nobody waits any longer; running requests go on."""
        self._draining = True
        return [
            action
            for record in self.records.values()
            for action in self._refuse_waiting(record, shutting_down())
        ]

    def on_tick(self, now: float) -> list[Action]:
        """Time has passed: waits and loads that took too long end, delayed starts begin."""
        actions = self._start_queued(now)
        for record in self.records.values():
            actions += self._expire_waiting(record, now)
            limit_s = record.spec.limits.load_timeout_s
            if record.state.is_coming_up and not record.is_doomed and now >= record.since + limit_s:
                record.is_doomed = True
                actions.append(StopWorker(record.spec.id, f"{record.state} took longer than {limit_s:.0f} s"))
        return actions

    def next_wake(self) -> float | None:
        """The earliest time at which `on_tick` has something to do."""
        times: list[float] = []
        for record in self.records.values():
            if record.waiting:  # deadlines never decrease in order of arrival
                times.append(next(iter(record.waiting.values())))
            if record.state is WorkerState.QUEUED and not self._is_loading(record.spec.device):
                times.append(record.not_before)
            if record.state.is_coming_up and not record.is_doomed:
                times.append(record.since + record.spec.limits.load_timeout_s)
        return min(times, default=None)

    def _is_loading(self, device: str) -> bool:
        return any(r.state.is_coming_up and r.spec.device == device for r in self.records.values())

    def _start_queued(self, now: float) -> list[Action]:
        """One load at a time per device, first come first served."""
        actions: list[Action] = []
        if self._draining:
            return actions
        queued = [r for r in self.records.values() if r.state is WorkerState.QUEUED and r.not_before <= now]
        for record in sorted(queued, key=lambda r: r.since):
            if not self._is_loading(record.spec.device):
                record.enter(WorkerState.STARTING, now)
                actions.append(StartWorker(record.spec.id))
        return actions

    def _grant(self, record: Record, ticket: int) -> Grant:
        record.leases.add(ticket)
        self._holder[ticket] = record
        return Grant(ticket, record.spec.id)

    def _serve_waiting(self, record: Record) -> list[Action]:
        if record.state is not WorkerState.READY:
            return []
        num_free = record.spec.limits.max_concurrency - len(record.leases)
        tickets = list(record.waiting)[: max(0, num_free)]
        for ticket in tickets:
            del record.waiting[ticket]
        return [self._grant(record, ticket) for ticket in tickets]

    def _refuse_waiting(self, record: Record, error: EngineError) -> list[Action]:
        tickets = list(record.waiting)
        record.waiting.clear()
        for ticket in tickets:
            del self._holder[ticket]
        return [Refuse(ticket, error) for ticket in tickets]

    def _expire_waiting(self, record: Record, now: float) -> list[Action]:
        expired = [ticket for ticket, deadline in record.waiting.items() if deadline <= now]
        for ticket in expired:
            del record.waiting[ticket]
            del self._holder[ticket]
        is_ready = record.state is WorkerState.READY
        error = _overloaded(record) if is_ready else _unavailable(record, now)
        return [Refuse(ticket, error) for ticket in expired]


def _overloaded(record: Record) -> EngineError:
    return EngineError(
        ErrorCode.BACKEND_RATE_LIMITED,
        f"{len(record.leases)} requests run and {len(record.waiting)} wait for this model",
        retry_after_s=1,
    )


def _unavailable(record: Record, now: float) -> EngineError:
    why = "failed" if record.state is WorkerState.FAILED else "is still loading"
    wait_s = max(1, math.ceil(record.not_before - now)) if record.state is WorkerState.FAILED else 10
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, f"The model {why}", retry_after_s=wait_s)


def _stopped(record: Record) -> EngineError:
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, "The model was stopped by an operator", retry_after_s=10)


def shutting_down() -> EngineError:
    return EngineError(ErrorCode.SHUTTING_DOWN, "The server is shutting down", retry_after_s=5)
