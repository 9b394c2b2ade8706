"""The new version of a backend beside the one that serves, until one of both is gone. Pure; the scheduler asks.

The newcomer is a record of its own, and so is what drains after the swap. Their ids hold a dot, which the id of no
backend does; the backend's own id stays with whichever serves.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from server.workers.actions import Action, StopWorker, shutting_down
from server.workers.ledger import Ledger, gib
from server.workers.moves import Moves
from server.workers.record import Record, Stage
from server.workers.replacement_status import ReplacementState
from server.workers.status import WorkerState

NEWCOMER, LEAVING = ".next", ".old"


class Progress(NamedTuple):
    """How far a replacement is; `since` is when it came so far."""

    number: int
    state: ReplacementState
    detail: str | None
    since: float
    error: str | None


class Replacement:
    """One of a backend, from its beginning on. Only `Replacements` writes it."""

    def __init__(self, number: int, spec: BackendSpec, newcomer: Record) -> None:
        self.number = number
        self.spec = spec
        self.newcomer = newcomer
        self.outcome: ReplacementState | None = None
        self.since = newcomer.since
        self.error: str | None = None

    def end(self, outcome: ReplacementState, now: float, error: str | None = None) -> None:
        self.outcome = outcome
        self.since = now
        self.error = error

    @property
    def progress(self) -> Progress:
        newcomer = self.newcomer
        if self.outcome is not None:
            return Progress(self.number, self.outcome, None, self.since, self.error)
        is_up = newcomer.state is WorkerState.READY
        state = ReplacementState.PROBING if is_up else ReplacementState(newcomer.state.value)
        return Progress(self.number, state, newcomer.detail, newcomer.since, None)


class Replacements:
    """The last replacement of each backend. `records` are the scheduler's."""

    def __init__(self, records: dict[str, Record], ledger: Ledger, moves: Moves) -> None:
        self._records = records
        self._ledger = ledger
        self._moves = moves
        self._numbers = itertools.count(1)
        self._latest: dict[str, Replacement] = {}

    def begin(self, newcomer: Record, spec: BackendSpec, now: float) -> list[Action]:
        """Bring up `newcomer`, which is to become the backend of `spec`.

        Raises EngineError: CONFLICT if that is under way already, or both can never fit; SHUTTING_DOWN.
        """
        record = self._records[spec.id]
        self._check(record, newcomer)
        newcomer.spec = msgspec.structs.replace(spec, id=spec.id + NEWCOMER)
        newcomer.stage = Stage.COMING
        newcomer.load_deadline = now + spec.limits.load_timeout_s
        record.successor = newcomer
        self._records[newcomer.spec.id] = newcomer
        self._latest[spec.id] = Replacement(next(self._numbers), spec, newcomer)
        return self._moves.bring_up(newcomer, now)

    def is_probed(self, newcomer_id: str) -> bool:
        """Whether it still matters what its probe says."""
        record = self._records.get(newcomer_id)
        return record is not None and record.stage is Stage.COMING and record.is_serving

    def take_over(self, backend_id: str, now: float) -> list[Action]:
        """From now on the newcomer is the backend: who waits waits for it, and the old worker drains."""
        replacement, old = self._latest[backend_id], self._records[backend_id]
        new = replacement.newcomer
        self._rename(old, backend_id + LEAVING)
        self._rename(new, backend_id)
        new.spec = replacement.spec
        new.stage, old.stage = Stage.SERVING, Stage.LEAVING
        old.successor = None
        _inherit(old, new, now)
        self._moves.leases.hand_over(old, new, now)
        served = self._moves.leases.serve(new, now)
        return served + self._dismiss(old, replacement, now) + self._moves.load_queued(now)

    def give_up(self, backend_id: str, reason: str, now: float) -> list[Action]:
        """The version that serves stays, and the newcomer ends. Nothing happens if none is coming."""
        record = self._records[backend_id]
        newcomer = record.successor
        if newcomer is None:
            return []
        record.successor = None
        self._latest[backend_id].end(ReplacementState.FAILED, now, reason)
        if not newcomer.state.has_process:
            del self._records[newcomer.spec.id]
            return self._moves.load_queued(now)
        newcomer.enter(WorkerState.DRAINING, now)
        return [StopWorker(newcomer.spec.id), *self._moves.load_queued(now)]

    def give_up_all(self, reason: str, now: float) -> list[Action]:
        owners = [owner for owner, record in self._records.items() if record.successor is not None]
        return [action for owner in owners for action in self.give_up(owner, reason, now)]

    def on_exit(self, record: Record, error: str | None, now: float) -> list[Action]:
        """The worker of a newcomer, or of what drained, is gone."""
        del self._records[record.spec.id]
        record.enter(WorkerState.STOPPED, now)
        backend_id = owner_of(record.spec.id)
        replacement = self._latest[backend_id]
        if record.stage is Stage.LEAVING:
            replacement.end(ReplacementState.DONE, now)
        elif replacement.outcome is None:
            self._records[backend_id].successor = None
            replacement.end(ReplacementState.FAILED, now, error or "its worker ended")
        return self._moves.load_queued(now)

    def on_tick(self, now: float) -> list[Action]:
        """Newcomers that got no memory for as long as a load may take are given up."""
        late = [(owner, found) for owner, found in self._unbegun() if _give_up_at(found) <= now]
        return [
            action
            for owner, newcomer in late
            for action in self.give_up(owner, f"got no memory: {newcomer.detail}", now)
        ]

    def wake_times(self) -> Iterator[float]:
        return (_give_up_at(newcomer) for _, newcomer in self._unbegun())

    def progress(self, backend_id: str) -> Progress | None:
        found = self._latest.get(backend_id)
        return None if found is None else found.progress

    def _unbegun(self) -> list[tuple[str, Record]]:
        return [
            (owner, record.successor)
            for owner, record in self._records.items()
            if record.successor is not None and not record.successor.state.has_process
        ]

    def _check(self, record: Record, newcomer: Record) -> None:
        backend_id = record.spec.id
        if self._moves.is_draining:
            raise shutting_down()
        if backend_id + NEWCOMER in self._records:
            raise _conflict(f"A new version of {backend_id} is on its way already, or has just been given up")
        if backend_id + LEAVING in self._records:
            raise _conflict(f"The version of {backend_id} before this one still ends its requests")
        is_leaving = record.state is WorkerState.DRAINING
        for device, need in newcomer.needs.items():
            held = 0 if is_leaving else self._ledger.held_bytes(device, backend_id)
            if not self._ledger.could_ever_fit(device, need + held):
                raise _no_room(backend_id, device, need, held, self._ledger.budgets[device])

    def _rename(self, record: Record, new_id: str) -> None:
        self._ledger.rename(record.spec.id, new_id)
        del self._records[record.spec.id]
        record.spec = msgspec.structs.replace(record.spec, id=new_id)
        self._records[new_id] = record

    def _dismiss(self, old: Record, replacement: Replacement, now: float) -> list[Action]:
        if not old.state.has_process:
            del self._records[old.spec.id]
            replacement.end(ReplacementState.DONE, now)
            return []
        replacement.end(ReplacementState.DRAINING, now)
        old.fall = None
        old.enter(WorkerState.DRAINING, now, "a new version serves")
        return [] if old.leases else [StopWorker(old.spec.id)]


def owner_of(record_id: str) -> str:
    """The id of the backend of which the record is a version."""
    return record_id.partition(".")[0]


def _give_up_at(newcomer: Record) -> float:
    """At once if its device turned out to be too small for it."""
    return newcomer.load_deadline if newcomer.state is WorkerState.QUEUED else newcomer.since


def _inherit(old: Record, new: Record, now: float) -> None:
    """What is counted for the backend goes on; so does a pin that an operator set or took away."""
    new.restarts = old.restarts
    new.evictions = old.evictions
    if old.is_pinned is not old.spec.pinned:
        new.is_pinned = old.is_pinned
    new.last_used_at = now


def _conflict(message: str) -> EngineError:
    return EngineError(ErrorCode.CONFLICT, message)


def _no_room(backend_id: str, device: str, need: int, held: int, budget: int) -> EngineError:
    message = f"The new version needs {gib(need)} on {device}, whose budget is {gib(budget)}"
    if need > budget:
        return _conflict(message + ": a smaller context or fewer requests at once would help")
    return _conflict(
        f"{message}, beside {gib(held)} of the one that serves: stop {backend_id} first, then replace it;"
        " requests wait meanwhile"
    )
