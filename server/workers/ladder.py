"""The rungs of a model that gives memory back: hot, asleep, stopped. How far it falls, and what that frees. Pure.

Asleep at level 1 its weights lie in host RAM, at level 2 nowhere; its process stays, with all that it has imported.
Level 1 is back soonest. It takes host memory, of which sleeping models together may hold a bounded part.
"""

from collections.abc import Collection, Mapping

from server.workers.ledger import CPU, Ledger
from server.workers.record import Fall, Record
from server.workers.status import WorkerState

IN_VAIN_SHARE = 0.1  # who gives back less of what it held may as well stay hot, and is stopped instead
KEPT_ON_GPU_SHARE = 0.1  # reckoned: the driver's context and compiled graphs
KEPT_IN_RAM_LEVEL = 1


def choose_fall(record: Record, records: Collection[Record], ledger: Ledger) -> Fall | None:
    """How a ready model may fall asleep now; None: it can only be stopped."""
    if record.state is not WorkerState.READY or record.spec.sleep_for_s == 0.0:
        return None
    taken = sum(_host_bytes(r, ledger) for r in records if r is not record and r.fall is not None)
    held = {device: ledger.held_bytes(device, record.spec.id) for device in record.needs}
    for level in sorted(set(record.sleep_levels) - record.vain_levels):
        kept = asleep_bytes(record, held, level)
        has_budget = ledger.sleep_budget is None or taken + kept[CPU] <= ledger.sleep_budget
        is_in_vain = gave_too_little(held[record.devices[0]], kept[record.devices[0]])
        if has_budget and not is_in_vain and ledger.missing_bytes(CPU, kept[CPU] - held[CPU]) <= 0:
            return Fall(level, held, kept)
    return None


def asleep_bytes(record: Record, held: Mapping[str, int], level: int) -> Mapping[str, int]:
    """What it will hold of each device: as the last time, else reckoned from what it holds hot."""
    known = record.asleep_bytes.get(level)
    if known is not None:
        return known
    if record.devices == (CPU,):
        return {CPU: max(0, held[CPU] - record.weights_bytes)}
    kept = {device: int(held[device] * KEPT_ON_GPU_SHARE) for device in record.devices}
    moved = sum(held[device] - kept[device] for device in record.devices) if level == KEPT_IN_RAM_LEVEL else 0
    return {CPU: held[CPU] + moved} | kept


def freed_bytes(record: Record, device: str, ledger: Ledger, fall: Fall | None) -> int:
    """What becomes free of `device` when it falls asleep, or is stopped if `fall` is None."""
    held = ledger.held_bytes(device, record.spec.id)
    return held if fall is None else max(0, held - fall.kept.get(device, 0))


def gave_too_little(held_bytes: int, kept_bytes: int) -> bool:
    return held_bytes - kept_bytes < held_bytes * IN_VAIN_SHARE


def _host_bytes(record: Record, ledger: Ledger) -> int:
    """What a model that is asleep, or soon will be, holds of the host's memory."""
    if record.state is WorkerState.FALLING_ASLEEP and record.fall is not None:
        return record.fall.kept[CPU]
    return ledger.held_bytes(CPU, record.spec.id)
