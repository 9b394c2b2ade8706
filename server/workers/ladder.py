"""The rungs of a model that gives memory back: hot, asleep, stopped. How far it falls, and what that frees. Pure.

Asleep at level 1 its weights lie in host RAM, at level 2 nowhere; its process stays, with all that it has imported.
Level 1 is back soonest. It takes host memory, of which sleeping models together may hold a bounded part.
"""

from collections.abc import Collection, Mapping

from server.workers.ledger import CPU, PROCESS_BYTES, Ledger
from server.workers.record import Record
from server.workers.status import WorkerState

IN_VAIN_SHARE = 0.1  # who gives back less of what it held may as well stay hot, and is stopped instead
KEPT_ON_GPU_SHARE = 0.1  # reckoned: the driver's context and compiled graphs
KEPT_IN_RAM_LEVEL = 1


def sleep_level(record: Record, records: Collection[Record], ledger: Ledger) -> int | None:
    """The level at which a ready model may fall asleep now; None: it can only be stopped."""
    if record.state is not WorkerState.READY or record.spec.sleep_for_s == 0.0:
        return None
    asleep = (r for r in records if r.state in (WorkerState.ASLEEP, WorkerState.FALLING_ASLEEP))
    taken = sum(_host_bytes(r, ledger) for r in asleep if r is not record)
    for level in sorted(record.sleep_levels):
        host_bytes = asleep_bytes(record, ledger, level)[CPU]
        grows = host_bytes - ledger.held_bytes(CPU, record.spec.id)
        has_budget = ledger.sleep_budget is None or taken + host_bytes <= ledger.sleep_budget
        if has_budget and ledger.missing_bytes(CPU, grows) <= 0 and not _is_in_vain(record, ledger, level):
            return level
    return None


def asleep_bytes(record: Record, ledger: Ledger, level: int) -> Mapping[str, int]:
    """What it will hold of each device: as the last time, else reckoned."""
    known = record.asleep_bytes.get(level)
    if known is not None:
        return known
    held = {device: ledger.held_bytes(device, record.spec.id) for device in record.needs}
    if record.devices == (CPU,):
        return {CPU: min(held[CPU], PROCESS_BYTES)}
    kept = {device: int(held[device] * KEPT_ON_GPU_SHARE) for device in record.devices}
    moved = sum(held[device] - kept[device] for device in record.devices) if level == KEPT_IN_RAM_LEVEL else 0
    return {CPU: held[CPU] + moved} | kept


def freed_bytes(record: Record, device: str, ledger: Ledger, level: int | None) -> int:
    """What becomes free of `device` when it falls asleep at `level`, or is stopped if that is None."""
    held = ledger.held_bytes(device, record.spec.id)
    return held if level is None else held - asleep_bytes(record, ledger, level).get(device, 0)


def gave_too_little(held_bytes: int, kept_bytes: int) -> bool:
    return held_bytes - kept_bytes < held_bytes * IN_VAIN_SHARE


def _is_in_vain(record: Record, ledger: Ledger, level: int) -> bool:
    device = record.devices[0]
    held = ledger.held_bytes(device, record.spec.id)
    return gave_too_little(held, held - freed_bytes(record, device, ledger, level))


def _host_bytes(record: Record, ledger: Ledger) -> int:
    """What a model that is asleep, or soon will be, holds of the host's memory."""
    if record.state is WorkerState.ASLEEP or record.level is None:
        return ledger.held_bytes(CPU, record.spec.id)
    return asleep_bytes(record, ledger, record.level)[CPU]
