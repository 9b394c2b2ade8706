"""Which queued backends begin to load, and which loaded ones give way to them. Pure: reads records and ledger.

One load at a time per device, first come first served: nothing overtakes the one that waits for memory, so that a large
model is not kept out for ever by small ones.
"""

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from server.workers.eviction import Resident, choose_victims
from server.workers.ledger import GIB, Ledger
from server.workers.record import Record
from server.workers.status import WorkerState

BATCH_PATIENCE_S = 30.0  # only batches want the memory: a model that clients used so lately stays


class Eviction(NamedTuple):
    victim: Record
    wanted_by: Record


class Admitted(NamedTuple):
    """`details` says of each backend that goes on waiting what for; `look_again_at` when time alone may change that."""

    starts: list[Record]
    evictions: list[Eviction]
    impossible: list[Record]
    details: dict[str, str]
    look_again_at: float | None


def admit(records: Collection[Record], ledger: Ledger, now: float) -> Admitted:
    """What to do now about every backend that is queued and due."""
    found = Admitted([], [], [], {}, None)
    taken = {device for record in records if record.state.is_coming_up for device in record.devices}
    due = [r for r in records if r.state is WorkerState.QUEUED and r.not_before <= now]
    for place, record in enumerate(sorted(due, key=lambda r: r.since), start=1):
        if not all(ledger.could_ever_fit(device, record.need_bytes) for device in record.devices):
            found.impossible.append(record)
        elif taken.intersection(record.devices):
            found.details[record.spec.id] = f"waits for its turn to load, place {place}"
        elif _is_missing(record, ledger):
            found = _make_room(record, records, ledger, now, found)
            taken.update(record.devices)
        else:
            found.starts.append(record)
            taken.update(record.devices)
    return found


class Plan(msgspec.Struct, frozen=True):
    """What a load would take and do. `verdict`: it is `loaded`, `fits`, `evicts` others, `waits`, or fits `never`.

    `need_bytes` are on each of `devices`; `load_s` is what the last load took, None if there was none.
    """

    backend_id: str
    verdict: Literal["loaded", "fits", "evicts", "waits", "never"]
    devices: tuple[str, ...]
    need_bytes: int
    is_measured: bool
    evicts: tuple[str, ...] = ()
    detail: str | None = None
    load_s: float | None = None


def plan(record: Record, records: Collection[Record], ledger: Ledger, now: float) -> Plan:
    """For `record` as if somebody asked for it now."""
    verdict, evicts, detail = _verdict(record, records, ledger, now)
    return Plan(
        record.spec.id,
        verdict,
        record.devices,
        record.need_bytes,
        record.is_measured,
        evicts,
        detail,
        record.load_s,
    )


def _verdict(
    record: Record, records: Collection[Record], ledger: Ledger, now: float
) -> tuple[Literal["loaded", "fits", "evicts", "waits", "never"], tuple[str, ...], str | None]:
    if record.state.has_process:
        return "loaded", (), record.detail
    if not all(ledger.could_ever_fit(device, record.need_bytes) for device in record.devices):
        return "never", (), cannot_fit(record, ledger).message
    if not _is_missing(record, ledger):
        return "fits", (), None
    made = _make_room(record, records, ledger, now, Admitted([], [], [], {}, None))
    victims = tuple(eviction.victim.spec.id for eviction in made.evictions)
    return ("evicts", victims, None) if victims else ("waits", (), made.details.get(record.spec.id))


def _is_missing(record: Record, ledger: Ledger) -> bool:
    return any(ledger.missing_bytes(device, record.need_bytes) > 0 for device in record.devices)


def _make_room(
    record: Record, records: Collection[Record], ledger: Ledger, now: float, found: Admitted
) -> Admitted:
    victims: set[str] = set()
    for device in record.devices:
        leaving = sum(ledger.held_bytes(device, r.spec.id) for r in records if _is_leaving(r, device))
        missing = ledger.missing_bytes(device, record.need_bytes) - leaving
        if missing <= 0:
            continue
        chosen = _choose(record, device, missing, records, ledger, now)
        if chosen is None:
            found.details[record.spec.id] = _shortage(record, device, ledger)
            return found._replace(look_again_at=_next_look(records, now))
        victims.update(chosen)
    found.evictions.extend(Eviction(r, record) for r in records if r.spec.id in victims)
    found.details[record.spec.id] = "waits until memory is free"
    return found


def _is_leaving(record: Record, device: str) -> bool:
    return record.state is WorkerState.DRAINING and device in record.devices


def _choose(
    record: Record,
    device: str,
    missing_bytes: int,
    records: Collection[Record],
    ledger: Ledger,
    now: float,
) -> tuple[str, ...] | None:
    """Idle ones; for somebody who waits also those that are busy with batches only."""
    ready = [r for r in records if r.state is WorkerState.READY and device in r.devices]
    patience_s = BATCH_PATIENCE_S if record.is_for_batch_only else 0.0
    idle = choose_victims(missing_bytes, (_resident(r, device, ledger, now, patience_s) for r in ready))
    if idle is not None or record.is_for_batch_only:
        return idle
    yielding = (_resident(r, device, ledger, now, 0.0, is_batch_idle=True) for r in ready)
    return choose_victims(missing_bytes, yielding)


def _resident(
    record: Record, device: str, ledger: Ledger, now: float, patience_s: float, *, is_batch_idle: bool = False
) -> Resident:
    idle_s = record.idle_s(now)
    if idle_s is None and is_batch_idle and record.is_busy_with_batches_only:
        idle_s = 0.0
    return Resident(
        record.spec.id,
        ledger.held_bytes(device, record.spec.id),
        idle_s if idle_s is not None and idle_s >= patience_s else None,
        is_pinned=record.is_pinned,
        priority=record.spec.priority,
        load_s=record.load_s,
    )


def _next_look(records: Iterable[Record], now: float) -> float | None:
    """When a model that is idle now has been so for long enough to give way to a batch."""
    idle = [idle_s for r in records if (idle_s := r.idle_s(now)) is not None and idle_s < BATCH_PATIENCE_S]
    return now + BATCH_PATIENCE_S - max(idle) if idle else None


def _shortage(record: Record, device: str, ledger: Ledger) -> str:
    free = ledger.budgets[device] - ledger.used_bytes(device)
    holders = ", ".join(f"{h.backend_id} {_gib(h.size_bytes)}" for h in ledger.holdings(device))
    return f"needs {_gib(record.need_bytes)} on {device}, {_gib(max(free, 0))} are free; held by {holders}"


def cannot_fit(record: Record, ledger: Ledger) -> EngineError:
    """The refusal of a model that is larger than its device, with numbers and what would help."""
    device = min(record.devices, key=lambda name: ledger.budgets.get(name, 0))
    budget = ledger.budgets[device]
    message = (
        f"The model needs {_gib(record.need_bytes)} on {device}, whose budget is {_gib(budget)}:"
        " a smaller context, fewer requests at once, another device, or a larger budget would help"
    )
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, message, retry_after_s=600)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f} GiB"
