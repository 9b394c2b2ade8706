"""What a load would take and do, without doing it. Pure: the scheduler's own rules on its own records."""

from collections.abc import Collection
from typing import Literal

import msgspec

from server.workers.admission import Admitted, cannot_fit, could_ever_fit, is_short, make_room
from server.workers.ledger import Ledger
from server.workers.record import Record
from server.workers.status import WorkerState


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
    if record.state.has_process and record.state is not WorkerState.ASLEEP:
        return "loaded", (), record.detail
    if not could_ever_fit(record, ledger):
        return "never", (), cannot_fit(record, ledger).message
    if not is_short(record, ledger):
        return "fits", (), None
    made = make_room(record, records, ledger, now, Admitted(None, [], [], {}, None))
    victims = tuple(eviction.victim.spec.id for eviction in made.evictions)
    return ("evicts", victims, None) if victims else ("waits", (), made.details.get(record.spec.id))
