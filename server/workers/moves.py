"""The changes that a backend can go through: up, down, asleep, awake. Pure; the scheduler says when.

What a change asks of the supervisor comes out as actions; records and ledger show it at once.
"""

from collections.abc import Mapping

from server.workers.actions import Action, SleepWorker, StartWorker, StopWorker, WakeWorker
from server.workers.admission import Admitted, admit, busy_devices, cannot_fit
from server.workers.backoff import RestartPolicy
from server.workers.ladder import choose_fall
from server.workers.leases import Leases
from server.workers.ledger import CPU, Ledger, gib
from server.workers.pressure import find_relief
from server.workers.record import Fall, Record
from server.workers.status import WorkerState

POSTPONED_S = 1.0  # an idle model does not fall asleep while another loads on its device


class Moves:
    """`look_again_at`: when time alone may let a queued backend begin. `is_draining`: nothing comes up any more."""

    def __init__(self, records: Mapping[str, Record], ledger: Ledger, policy: RestartPolicy) -> None:
        self._records = records
        self._ledger = ledger
        self._policy = policy
        self.leases = Leases()
        self.look_again_at: float | None = None
        self.is_draining = False

    def bring_up(self, record: Record, now: float) -> list[Action]:
        is_asleep = record.state is WorkerState.ASLEEP and record.queued_at is None
        if self.is_draining or not (is_asleep or record.state in (WorkerState.STOPPED, WorkerState.FAILED)):
            return []
        record.not_before = now
        if is_asleep:
            record.queued_at = now
        else:
            record.enter(WorkerState.QUEUED, now)
        return self.load_queued(now)

    def become_ready(self, record: Record, now: float) -> list[Action]:
        record.enter(WorkerState.READY, now)
        record.fall = None
        record.last_used_at = now
        record.last_error = None
        deadline = now + record.spec.limits.queue_timeout_s
        record.waiting = dict.fromkeys(record.waiting, deadline)
        return self.leases.serve(record, now) + self.load_queued(now)

    def load_queued(self, now: float) -> list[Action]:
        """Begin the loads and wakes whose turn it is, and make room for the next."""
        self.look_again_at = None
        if all(record.queued_at is None for record in self._records.values()):
            return []  # as after almost every request
        actions: list[Action] = []
        while True:
            admitted = admit(self._records.values(), self._ledger, now)
            actions += self._carry_out(admitted, now)
            if admitted.start is None and not admitted.evictions:
                return actions

    def _carry_out(self, admitted: Admitted, now: float) -> list[Action]:
        self.look_again_at = admitted.look_again_at
        actions: list[Action] = []
        for record in self._records.values():
            record.is_held_up = record.spec.id in admitted.details
            if record.is_held_up:
                record.detail = admitted.details[record.spec.id]
        for record in admitted.impossible:
            actions += self._refuse_for_ever(record, now)
        for victim, wanted_by, fall in admitted.evictions:
            actions += self.let_go(victim, now, f"gives way to {wanted_by.spec.id}", "memory", fall)
        return actions if admitted.start is None else [*actions, self._start(admitted.start, now)]

    def _start(self, record: Record, now: float) -> Action:
        """Load it, or wake it if it is asleep."""
        for device, need in record.needs.items():
            held = self._ledger.held_bytes(device, record.spec.id)
            record.granted[device] = max(need, held)
            self._ledger.grant(device, record.spec.id, record.granted[device])
        record.is_warned = False
        record.load_peaks.clear()
        record.load_deadline = now + record.spec.limits.load_timeout_s
        record.is_doomed = False
        if record.state is WorkerState.ASLEEP:
            record.enter(WorkerState.WAKING, now)
            return WakeWorker(record.spec.id)
        record.enter(WorkerState.STARTING, now)
        return StartWorker(record.spec.id)

    def _refuse_for_ever(self, record: Record, now: float) -> list[Action]:
        """It needs more than its device has."""
        refusal = cannot_fit(record, self._ledger)
        refused = self.leases.refuse_waiting(record, refusal)
        record.last_error = record.told_error = refusal.message
        if record.state is WorkerState.ASLEEP:
            record.enter(WorkerState.DRAINING, now, refusal.message)
            return [*refused, StopWorker(record.spec.id)]
        record.not_before = now + self._policy.failed_s
        record.enter(WorkerState.FAILED, now, refusal.message)
        return refused

    def relieve(self, now: float) -> list[Action]:
        """Where models hold more than a device's budget: see `pressure`."""
        actions: list[Action] = []
        warned: dict[str, str] = {}
        for device in self._ledger.budgets:
            found = find_relief(device, self._records.values(), self._ledger, now)
            for name in found.restart:
                self._records[name].is_wanted = self._records[name].is_pinned
                actions += self.let_go(self._records[name], now, self._excess(name, device), "pressure")
            for name in found.evict:
                actions += self.let_go(self._records[name], now, f"{device} is over its budget", "pressure")
            for name in found.kill:
                self._records[name].is_doomed = True
                actions.append(StopWorker(name, self._excess(name, device)))
            warned |= {name: f"{self._excess(name, device)}, restarts when idle" for name in found.warn}
        self._warn(warned)
        return actions

    def _warn(self, warned: Mapping[str, str]) -> None:
        for name, record in self._records.items():
            if name in warned or (record.is_warned and record.is_serving):
                record.detail = warned.get(name)
            record.is_warned = name in warned

    def _excess(self, name: str, device: str) -> str:
        held, granted = self._ledger.held_bytes(device, name), self._records[name].granted[device]
        return f"holds {gib(held)} of {device}, was granted {gib(granted)}"

    def retire(self, record: Record, now: float) -> list[Action]:
        """Nobody has used it for as long as it is kept."""
        fall = self.choose_fall(record)
        if fall is not None and busy_devices(self._records.values()).intersection(record.devices):
            record.postponed_until = now + POSTPONED_S
            return []
        return self.let_go(record, now, "was idle", "idle", fall)

    def choose_fall(self, record: Record) -> Fall | None:
        return None if record.is_doomed else choose_fall(record, self._records.values(), self._ledger)

    def let_go(
        self, record: Record, now: float, detail: str, cause: str, fall: Fall | None = None
    ) -> list[Action]:
        """Requests that run end, then it falls asleep or, without `fall`, is stopped; `cause` is counted.

        Host memory that its weights will move to is its own from now on.
        """
        record.evictions[cause] = record.evictions.get(cause, 0) + 1
        record.fall = fall
        if fall is None:
            record.enter(WorkerState.DRAINING, now, detail)
        else:
            record.enter(WorkerState.FALLING_ASLEEP, now, detail)
            self._ledger.grant(CPU, record.spec.id, max(fall.held[CPU], fall.kept[CPU]))
        return [] if record.leases else [self.take_down(record)]

    def give_up_sleep(self, record: Record, now: float, reason: str) -> list[Action]:
        record.last_error = record.told_error = reason
        record.fall = None
        record.enter(WorkerState.DRAINING, now, reason)
        return [] if record.leases else [StopWorker(record.spec.id)]

    def take_down(self, record: Record) -> Action:
        if record.state is WorkerState.FALLING_ASLEEP and record.fall is not None:
            return SleepWorker(record.spec.id, record.fall.level)
        return StopWorker(record.spec.id)
