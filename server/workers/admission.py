"""Which queued backends begin to come up, and which loaded ones give way to them. Pure: reads records and ledger.

One load, wake or falling asleep at a time per device, first come first served: nothing overtakes the one that waits for
memory, so that a large model is not kept out for ever by small ones.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from engines.contract.errors import EngineError, ErrorCode
from server.workers.eviction import Resident, choose_victims
from server.workers.ladder import choose_fall, freed_bytes
from server.workers.ledger import Ledger, gib
from server.workers.record import Fall, Record
from server.workers.status import WorkerState

BATCH_PATIENCE_S = 30.0  # only batches want the memory: a model that clients used so lately stays
WAKE_SHARE = 0.1  # of the time of a load: what waking is reckoned to take before it was seen


class Eviction(NamedTuple):
    """Without `fall` the victim is stopped."""

    victim: Record
    wanted_by: Record
    fall: Fall | None


class Admitted(NamedTuple):
    """`details` says of each backend that goes on waiting what for; `look_again_at` when time alone may change that."""

    start: Record | None
    evictions: list[Eviction]
    impossible: list[Record]
    details: dict[str, str]
    look_again_at: float | None


def admit(records: Collection[Record], ledger: Ledger, now: float) -> Admitted:
    """What to do now about every backend that is queued, to load or to wake, and due.

    Ends with the first that begins or that displaces others: it is to be asked again, when the ledger shows that.
    """
    found = Admitted(None, [], [], {}, None)
    taken = busy_devices(records)
    due = [(r.queued_at, r) for r in records if r.queued_at is not None and r.not_before <= now]
    for place, (_, record) in enumerate(sorted(due, key=lambda pair: pair[0]), start=1):
        if not could_ever_fit(record, ledger):
            found.impossible.append(record)
        elif taken.intersection(record.devices):
            found.details[record.spec.id] = f"waits for its turn to load, place {place}"
        elif is_short(record, ledger):
            found = make_room(record, records, ledger, now, found)
            if found.evictions:
                return found
            taken.update(record.devices)
        else:
            return found._replace(start=record)
    return found


def busy_devices(records: Iterable[Record]) -> set[str]:
    """On which a model comes up or falls asleep: what others allocate meanwhile would spoil its measuring."""
    return {device for record in records if _is_moving(record) for device in record.devices}


def could_ever_fit(record: Record, ledger: Ledger) -> bool:
    return all(ledger.could_ever_fit(device, need) for device, need in record.needs.items())


def is_short(record: Record, ledger: Ledger) -> bool:
    """Whether memory must be freed before it can come up."""
    return any(_missing_bytes(record, device, ledger) > 0 for device in record.needs)


def make_room(
    record: Record, records: Collection[Record], ledger: Ledger, now: float, found: Admitted
) -> Admitted:
    """Whom `record` displaces, or what it waits for."""
    falls: dict[str, Fall | None] = {}
    for device in record.needs:
        leaving = sum(_leaving_bytes(r, device, ledger) for r in records)
        missing = _missing_bytes(record, device, ledger) - leaving
        if missing <= 0:
            continue
        chosen = _choose(record, device, missing, records, ledger, now)
        if chosen is None:
            found.details[record.spec.id] = _shortage(record, device, ledger)
            return found._replace(look_again_at=_next_look(records, now))
        for name, fall in chosen.items():
            falls[name] = None if fall is None else falls.get(name, fall)
    found.evictions.extend(Eviction(r, record, falls[r.spec.id]) for r in records if r.spec.id in falls)
    found.details[record.spec.id] = "waits until memory is free"
    return found


def _is_moving(record: Record) -> bool:
    is_falling_asleep = record.state is WorkerState.FALLING_ASLEEP and not record.leases
    return record.state.is_coming_up or is_falling_asleep


def _missing_bytes(record: Record, device: str, ledger: Ledger) -> int:
    """A model that is asleep holds a part of its need already."""
    return ledger.missing_bytes(device, record.needs[device] - ledger.held_bytes(device, record.spec.id))


def _leaving_bytes(record: Record, device: str, ledger: Ledger) -> int:
    if record.state is WorkerState.DRAINING:
        return ledger.held_bytes(device, record.spec.id)
    if record.state is WorkerState.FALLING_ASLEEP:
        return freed_bytes(record, device, ledger, record.fall)
    return 0


def _choose(
    record: Record,
    device: str,
    missing_bytes: int,
    records: Collection[Record],
    ledger: Ledger,
    now: float,
) -> Mapping[str, Fall | None] | None:
    """Names of the victims, and how they fall asleep.

    Idle ones; for somebody who waits also those that are busy with batches only. If it is enough that hot ones fall
    asleep and sleeping ones stop, they do; else those that are hot are stopped too.
    """
    others = [r for r in records if r is not record and ledger.held_bytes(device, r.spec.id) > 0]
    asleep = {r.spec.id: choose_fall(r, records, ledger) for r in others}
    stopped: dict[str, Fall | None] = dict.fromkeys(asleep)
    patience_s = BATCH_PATIENCE_S if record.is_for_batch_only else 0.0
    for is_batch_idle in (False,) if record.is_for_batch_only else (False, True):
        for rungs in (asleep, stopped):
            residents = (
                _resident(r, device, ledger, now, patience_s, rungs[r.spec.id], is_batch_idle=is_batch_idle)
                for r in others
            )
            chosen = choose_victims(missing_bytes, residents)
            if chosen is not None:
                return {name: rungs[name] for name in chosen}
    return None


def _resident(
    record: Record,
    device: str,
    ledger: Ledger,
    now: float,
    patience_s: float,
    fall: Fall | None,
    *,
    is_batch_idle: bool,
) -> Resident:
    idle_s = record.idle_s(now)
    if idle_s is None and is_batch_idle and record.is_busy_with_batches_only:
        idle_s = 0.0
    return Resident(
        record.spec.id,
        freed_bytes(record, device, ledger, fall),
        idle_s if record.last_used_at + patience_s <= now else None,
        is_pinned=record.is_pinned,
        priority=record.spec.priority,
        return_s=_return_s(record, fall),
    )


def _return_s(record: Record, fall: Fall | None) -> float | None:
    """How much longer it takes to be hot again than it would from where the record is now."""
    wake_s = record.wake_s
    if wake_s is None and record.load_s is not None:
        wake_s = record.load_s * WAKE_SHARE
    if fall is not None:
        return wake_s
    if record.state is WorkerState.ASLEEP and record.load_s is not None and wake_s is not None:
        return max(0.0, record.load_s - wake_s)
    return record.load_s


def _next_look(records: Iterable[Record], now: float) -> float | None:
    """When a model that is idle now has been so for long enough to give way to a batch."""
    times = [r.last_used_at + BATCH_PATIENCE_S for r in records if r.idle_s(now) is not None]
    return min((time for time in times if time > now), default=None)


def _shortage(record: Record, device: str, ledger: Ledger) -> str:
    free = ledger.budgets[device] - ledger.used_bytes(device)
    need = record.needs[device] - ledger.held_bytes(device, record.spec.id)
    holders = ", ".join(f"{h.backend_id} {gib(h.size_bytes)}" for h in ledger.holdings(device))
    return f"needs {gib(need)} on {device}, {gib(max(free, 0))} are free; held by {holders}"


def cannot_fit(record: Record, ledger: Ledger) -> EngineError:
    """The refusal of a model that is larger than its device, with numbers and what would help."""
    device = next(name for name, need in record.needs.items() if not ledger.could_ever_fit(name, need))
    budget = ledger.budgets[device]
    message = (
        f"The model needs {gib(record.needs[device])} on {device}, whose budget is {gib(budget)}:"
        " a smaller context, fewer requests at once, another device, or a larger budget would help"
    )
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, message, retry_after_s=600)
