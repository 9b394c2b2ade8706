"""Decides which workers start and stop and which requests get a lease; events and times in, actions out.

Pure: it knows no process, socket or clock; the supervisor tells it what happened and does what it answers.
"""

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
    overloaded,
    shutting_down,
    stopped,
)
from server.workers.admission import admit, cannot_fit
from server.workers.backoff import RestartPolicy
from server.workers.ending import NOT_STARTED
from server.workers.ledger import NO_BOUNDS, Ledger, Memory
from server.workers.record import Record
from server.workers.status import WorkerState


class Scheduler:
    """State machine over all backends. `jitter()` returns 0..1; times are seconds of one monotonic clock."""

    def __init__(
        self,
        specs: Iterable[BackendSpec],
        policy: RestartPolicy,
        jitter: Callable[[], float],
        now: float,
        *,
        memory: Memory = NO_BOUNDS,
    ) -> None:
        self._policy = policy
        self._jitter = jitter
        self._draining = False
        self._holder: dict[int, Record] = {}  # ticket -> its backend
        self._look_again_at: float | None = None
        self.ledger = Ledger(memory.budgets)
        self.records = {
            spec.id: Record(
                spec, policy, now, devices=memory.devices_of(spec), need_bytes=memory.needs.get(spec.id, 0)
            )
            for spec in specs
        }

    def on_request(
        self, now: float, ticket: int, backend_id: str, priority: Priority = Priority.DEFAULT
    ) -> list[Action]:
        """Someone wants a lease. A batch gets places that nobody else wants, and waits without a deadline."""
        record = self.records[backend_id]
        if self._draining:
            return [Refuse(ticket, shutting_down())]
        if record.state is WorkerState.FAILED and now < record.not_before:
            return [Refuse(ticket, record.refusal(now))]
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
        record.last_used_at = now
        if record.state is WorkerState.DRAINING and not record.leases:
            return [StopWorker(record.spec.id)]
        return self._serve_waiting(record, now) + self._load_queued(now)

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

    def on_ready(self, now: float, backend_id: str, load_s: float | None = None) -> list[Action]:
        record = self.records[backend_id]
        if not record.is_loading:
            return []
        record.enter(WorkerState.READY, now)
        record.load_s = load_s
        record.last_used_at = now
        record.last_error = None
        deadline = now + record.spec.limits.queue_timeout_s
        record.waiting = dict.fromkeys(record.waiting, deadline)
        return self._serve_waiting(record, now) + self._load_queued(now)

    def on_measured(self, now: float, backend_id: str, size_bytes: int) -> list[Action]:
        """The worker was seen to hold so much on each of its devices. What a ready one holds is what it will need."""
        record = self.records[backend_id]
        if not record.state.has_process:
            return []
        is_loaded = not record.state.is_coming_up
        for device in record.devices:
            if is_loaded or size_bytes > self.ledger.held_bytes(device, backend_id):
                self.ledger.measure(device, backend_id, size_bytes)
        if is_loaded:
            record.need_bytes = max(size_bytes, record.need_bytes if record.is_measured else 0)
            record.is_measured = True
        return self._load_queued(now)

    def on_pin(self, now: float, backend_id: str, is_pinned: bool) -> list[Action]:
        """A pinned model never gives way and is not stopped for being idle."""
        self.records[backend_id].is_pinned = is_pinned
        return self._load_queued(now)

    def on_hang_up(self, backend_id: str) -> None:
        """The worker's connection is lost: nobody gets a lease until the next worker is ready."""
        self.records[backend_id].is_doomed = True

    def on_exit(
        self,
        now: float,
        backend_id: str,
        error: str | None,
        *,
        permanent: bool = False,
        told_error: str | None = None,
    ) -> list[Action]:
        """The worker's process is gone; `error` is None after an orderly stop, `told_error` what clients may read."""
        record = self.records[backend_id]
        for device in record.devices:
            self.ledger.release(device, backend_id)
        if record.state is WorkerState.DRAINING or error is None or self._draining:
            record.enter(WorkerState.STOPPED, now)
            is_wanted = record.is_wanted or bool(record.waiting or record.batch_waiting)
            again = self._bring_up(record, now) if is_wanted else []
            record.is_wanted = False
            return again + self._load_queued(now)
        was_ready_s = now - record.since if record.state is WorkerState.READY else 0.0
        record.last_error = error
        record.told_error = told_error or NOT_STARTED
        record.deaths.add(now, error, lived_ready_s=was_ready_s)
        if permanent or record.deaths.is_hopeless:
            record.not_before = now + self._policy.failed_s
            record.deaths.give_up()
            record.enter(WorkerState.FAILED, now, error)
            return self._refuse_waiting(record, record.refusal(now)) + self._load_queued(now)
        record.restarts += 1
        record.not_before = now + record.deaths.delay_s(self._jitter())
        record.enter(WorkerState.QUEUED, now, f"restarting after: {error}")
        return self._load_queued(now)

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
        actions = self._load_queued(now)
        for record in self.records.values():
            actions += self._expire_waiting(record, now) + self._serve_batch(record, now)
            if record.keep_until is not None and record.keep_until <= now:
                actions += self._let_go(record, now, "was idle", "idle")
            if record.is_loading and record.load_deadline <= now:
                record.is_doomed = True
                limit_s = record.spec.limits.load_timeout_s
                actions.append(StopWorker(record.spec.id, f"not ready within {limit_s:.0f} s"))
        return actions

    def next_wake(self) -> float | None:
        """The earliest time at which `on_tick` has something to do."""
        times = [time for record in self.records.values() for time in record.wake_times()]
        if self._look_again_at is not None:
            times.append(self._look_again_at)
        return min(times, default=None)

    def _bring_up(self, record: Record, now: float) -> list[Action]:
        if self._draining or record.state not in (WorkerState.STOPPED, WorkerState.FAILED):
            return []
        record.not_before = now
        record.enter(WorkerState.QUEUED, now)
        return self._load_queued(now)

    def _load_queued(self, now: float) -> list[Action]:
        """Begin the loads whose turn it is, and make room for the next."""
        self._look_again_at = None
        if all(record.state is not WorkerState.QUEUED for record in self.records.values()):
            return []  # as after almost every request
        admitted = admit(self.records.values(), self.ledger, now)
        self._look_again_at = admitted.look_again_at
        actions: list[Action] = []
        for record in self.records.values():
            record.is_held_up = record.spec.id in admitted.details
            if record.is_held_up:
                record.enter(WorkerState.QUEUED, now, admitted.details[record.spec.id])
        for record in admitted.impossible:
            refusal = cannot_fit(record, self.ledger)
            record.not_before = now + self._policy.failed_s
            record.last_error = record.told_error = refusal.message
            record.enter(WorkerState.FAILED, now, refusal.message)
            actions += self._refuse_waiting(record, refusal)
        for eviction in admitted.evictions:
            detail = f"gives way to {eviction.wanted_by.spec.id}"
            actions += self._let_go(eviction.victim, now, detail, "memory")
        return actions + [self._start(record, now) for record in admitted.starts]

    def _start(self, record: Record, now: float) -> StartWorker:
        for device in record.devices:
            self.ledger.grant(device, record.spec.id, record.need_bytes)
        record.enter(WorkerState.STARTING, now)
        record.load_deadline = now + record.spec.limits.load_timeout_s
        record.is_doomed = False
        return StartWorker(record.spec.id)

    def _let_go(self, record: Record, now: float, detail: str, cause: str) -> list[Action]:
        """Requests that run end, then the worker; `cause` is counted."""
        record.evictions[cause] = record.evictions.get(cause, 0) + 1
        record.enter(WorkerState.DRAINING, now, detail)
        return [] if record.leases else [StopWorker(record.spec.id)]

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
        return [self._refuse(record, ticket, record.refusal(now)) for ticket in expired]

    def _refuse(self, record: Record, ticket: int, error: EngineError) -> Refuse:
        record.waiting.pop(ticket, None)
        record.batch_waiting.pop(ticket, None)
        del self._holder[ticket]
        return Refuse(ticket, error)
