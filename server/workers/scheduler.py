"""Decides which workers start and stop and which requests get a lease; events and times in, actions out.

Pure: it knows no process, socket or clock; the supervisor tells it what happened and does what it answers.
"""

import math
from collections.abc import Callable, Iterable

from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from server.workers.actions import (
    Action,
    Grant,
    Refuse,
    StartWorker,
    StopWorker,
    failed,
    overloaded,
    shutting_down,
    still_loading,
    stopped,
)
from server.workers.backoff import RestartPolicy
from server.workers.record import Record
from server.workers.status import WorkerState


class Scheduler:
    """State machine over all backends. `jitter()` returns 0..1; times are seconds of one monotonic clock."""

    def __init__(
        self, specs: Iterable[BackendSpec], policy: RestartPolicy, jitter: Callable[[], float], now: float
    ) -> None:
        self._policy = policy
        self._jitter = jitter
        self._draining = False
        self._holder: dict[int, Record] = {}  # ticket -> its backend
        self.records = {spec.id: Record(spec, policy, now) for spec in specs}

    def on_request(
        self, now: float, ticket: int, backend_id: str, priority: Priority = Priority.DEFAULT
    ) -> list[Action]:
        """Someone wants a lease. A batch gets places that nobody else wants, and waits without a deadline."""
        record = self.records[backend_id]
        if self._draining:
            return [Refuse(ticket, shutting_down())]
        if record.state is WorkerState.FAILED and now < record.not_before:
            return [Refuse(ticket, _unavailable(record, now))]
        if priority is Priority.BATCH:
            return self._admit_batch(record, ticket, now)
        limits = record.spec.limits
        record.pace.see_client(now)
        if record.num_free > 0:
            return [self._grant(record, ticket)]
        if len(record.waiting) >= limits.max_queue:
            return [Refuse(ticket, overloaded(len(record.leases), len(record.waiting)))]
        timeout_s = limits.queue_timeout_s if record.is_serving else limits.load_timeout_s
        record.waiting[ticket] = now + timeout_s
        self._holder[ticket] = record
        return self._bring_up(record, now)

    def on_leave(self, now: float, ticket: int) -> list[Action]:
        """The holder of a lease has finished, or someone who waited has gone."""
        record = self._holder.pop(ticket, None)
        if record is None:
            return []
        if ticket in record.batch_waiting:
            del record.batch_waiting[ticket]
            return []
        if ticket in record.waiting:
            del record.waiting[ticket]
            return []
        record.leases.remove(ticket)
        if ticket in record.batch_leases:
            record.batch_leases.remove(ticket)
        else:
            record.pace.see_client(now)
        if record.state is WorkerState.DRAINING and not record.leases:
            return [StopWorker(record.spec.id)]
        return self._serve_waiting(record, now)

    def on_load(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend up, even if it has failed a moment ago."""
        record = self.records[backend_id]
        record.is_wanted = record.state is WorkerState.DRAINING
        return self._bring_up(record, now)

    def on_stop(self, now: float, backend_id: str) -> list[Action]:
        """An operator wants the backend down: running requests end, waiting ones are refused."""
        record = self.records[backend_id]
        record.deaths.clear()
        record.is_wanted = False
        actions = self._refuse_waiting(record, stopped())
        if record.state.has_process:
            record.enter(WorkerState.DRAINING, now)
            return actions if record.leases else [*actions, StopWorker(backend_id)]
        record.enter(WorkerState.STOPPED, now)
        return actions

    def on_progress(self, now: float, backend_id: str, state: WorkerState, detail: str) -> None:
        """The worker reports a phase of its coming up."""
        record = self.records[backend_id]
        if record.state.is_coming_up:
            record.enter(state, now, detail)

    def on_ready(self, now: float, backend_id: str) -> list[Action]:
        record = self.records[backend_id]
        if not record.is_loading:
            return []
        record.enter(WorkerState.READY, now)
        record.last_error = None
        deadline = now + record.spec.limits.queue_timeout_s
        record.waiting = dict.fromkeys(record.waiting, deadline)
        return self._serve_waiting(record, now) + self._start_queued(now)

    def on_hang_up(self, backend_id: str) -> None:
        """The worker's connection is lost: nobody gets a lease until the next worker is ready."""
        self.records[backend_id].is_doomed = True

    def on_exit(
        self, now: float, backend_id: str, error: str | None, *, permanent: bool = False
    ) -> list[Action]:
        """The worker's process is gone; `error` is None after an orderly stop."""
        record = self.records[backend_id]
        if record.state is WorkerState.DRAINING or error is None or self._draining:
            record.enter(WorkerState.STOPPED, now)
            is_wanted = record.is_wanted or bool(record.waiting or record.batch_waiting)
            again = self._bring_up(record, now) if is_wanted else []
            record.is_wanted = False
            return again + self._start_queued(now)
        was_ready_s = now - record.since if record.state is WorkerState.READY else 0.0
        record.last_error = error
        record.deaths.add(now, lived_ready_s=was_ready_s)
        if permanent or record.deaths.is_hopeless:
            record.not_before = now + self._policy.failed_s
            record.deaths.clear()
            record.enter(WorkerState.FAILED, now, error)
            return self._refuse_waiting(record, _unavailable(record, now)) + self._start_queued(now)
        record.restarts += 1
        record.not_before = now + record.deaths.delay_s(self._jitter())
        record.enter(WorkerState.QUEUED, now, f"restarting after: {error}")
        return self._start_queued(now)

    def on_drain(self, now: float) -> list[Action]:
        """The server is going down: nothing starts, nobody waits any longer; running requests go on."""
        self._draining = True
        actions: list[Action] = []
        for record in self.records.values():
            actions += self._refuse_waiting(record, shutting_down())
            if record.state is WorkerState.QUEUED:
                record.enter(WorkerState.STOPPED, now)
        return actions

    def on_tick(self, now: float) -> list[Action]:
        """Time has passed: waits and loads that took too long end, delayed starts begin."""
        actions = self._start_queued(now)
        for record in self.records.values():
            actions += self._expire_waiting(record, now) + self._serve_batch(record, now)
            if record.is_loading and record.load_deadline <= now:
                record.is_doomed = True
                limit_s = record.spec.limits.load_timeout_s
                actions.append(StopWorker(record.spec.id, f"not ready within {limit_s:.0f} s"))
        return actions

    def next_wake(self) -> float | None:
        """The earliest time at which `on_tick` has something to do."""
        times: list[float] = []
        for record in self.records.values():
            times += record.waiting.values()
            if record.batch_waiting and record.num_free_for_batch:
                times.append(record.pace.next_at)
            if record.is_loading:
                times.append(record.load_deadline)
            if record.state is WorkerState.QUEUED and not self._is_busy(record.spec.device):
                times.append(record.not_before)
        return min(times, default=None)

    def _bring_up(self, record: Record, now: float) -> list[Action]:
        if self._draining or record.state not in (WorkerState.STOPPED, WorkerState.FAILED):
            return []
        record.not_before = now
        record.enter(WorkerState.QUEUED, now)
        return self._start_queued(now)

    def _is_busy(self, device: str) -> bool:
        return any(r.state.is_coming_up and r.spec.device == device for r in self.records.values())

    def _start_queued(self, now: float) -> list[Action]:
        """One load at a time per device, first come first served."""
        actions: list[Action] = []
        queued = [r for r in self.records.values() if r.state is WorkerState.QUEUED and r.not_before <= now]
        for record in sorted(queued, key=lambda r: r.since):
            if not self._is_busy(record.spec.device):
                record.enter(WorkerState.STARTING, now)
                record.load_deadline = now + record.spec.limits.load_timeout_s
                record.is_doomed = False
                actions.append(StartWorker(record.spec.id))
        return actions

    def _grant(self, record: Record, ticket: int) -> Grant:
        record.leases.add(ticket)
        self._holder[ticket] = record
        return Grant(ticket, record.spec.id)

    def _admit_batch(self, record: Record, ticket: int, now: float) -> list[Action]:
        if len(record.batch_waiting) >= record.max_batch_waiting:
            return [Refuse(ticket, overloaded(len(record.leases), len(record.batch_waiting)))]
        record.batch_waiting[ticket] = None
        self._holder[ticket] = record
        return self._serve_batch(record, now) or self._bring_up(record, now)

    def _serve_waiting(self, record: Record, now: float) -> list[Action]:
        tickets = list(record.waiting)[: max(0, record.num_free)]
        for ticket in tickets:
            del record.waiting[ticket]
        granted: list[Action] = [self._grant(record, ticket) for ticket in tickets]
        return granted + self._serve_batch(record, now)

    def _serve_batch(self, record: Record, now: float) -> list[Action]:
        num_begun = min(len(record.batch_waiting), record.pace.allowance(now, record.num_free_for_batch))
        record.pace.take(num_begun)
        tickets = list(record.batch_waiting)[:num_begun]
        for ticket in tickets:
            del record.batch_waiting[ticket]
            record.batch_leases.add(ticket)
        return [self._grant(record, ticket) for ticket in tickets]

    def _refuse_waiting(self, record: Record, error: EngineError) -> list[Action]:
        tickets = [*record.waiting, *record.batch_waiting]
        return [self._refuse(record, ticket, error) for ticket in tickets]

    def _expire_waiting(self, record: Record, now: float) -> list[Action]:
        expired = [ticket for ticket, deadline in record.waiting.items() if deadline <= now]
        return [self._refuse(record, ticket, _unavailable(record, now)) for ticket in expired]

    def _refuse(self, record: Record, ticket: int, error: EngineError) -> Refuse:
        record.waiting.pop(ticket, None)
        record.batch_waiting.pop(ticket, None)
        del self._holder[ticket]
        return Refuse(ticket, error)


def _unavailable(record: Record, now: float) -> EngineError:
    """Why a request cannot be served in the state that the backend is in."""
    if record.state is WorkerState.READY:
        return overloaded(len(record.leases), len(record.waiting))
    if record.state is WorkerState.FAILED:
        return failed(max(1, math.ceil(record.not_before - now)))
    return still_loading()
