"""Which loaded models give way to one that wants to load. Pure.

The rule, to be read by people: only models that nobody uses, and no pinned ones; of these the lowest priority first,
then the one that is cheapest to bring back for what it frees (seconds per byte), then the one that was used longest
ago. No more of them than needed.
"""

from collections.abc import Iterable

import msgspec

UNKNOWN_RETURN_S = 60.0


class Resident(msgspec.Struct, frozen=True):
    """A backend that holds memory, hot or asleep; `size_bytes` is what it would free.

    `idle_s` is None while requests run or wait; `priority` is higher for what shall stay; `return_s` is how long it
    takes to bring it back.
    """

    backend_id: str
    size_bytes: int
    idle_s: float | None
    is_pinned: bool = False
    priority: int = 0
    return_s: float | None = None


def choose_victims(missing_bytes: int, residents: Iterable[Resident]) -> tuple[str, ...] | None:
    """Ids of the backends to evict so that `missing_bytes` become free; None if all that may go are not enough."""
    chosen: list[Resident] = []
    freed = 0
    for resident in sorted(filter(_may_go, residents), key=_reluctance):
        if freed >= missing_bytes:
            break
        chosen.append(resident)
        freed += resident.size_bytes
    if freed < missing_bytes:
        return None
    return tuple(resident.backend_id for resident in _needed(chosen, freed - missing_bytes))


def _may_go(resident: Resident) -> bool:
    return resident.idle_s is not None and not resident.is_pinned and resident.size_bytes > 0


def _reluctance(resident: Resident) -> tuple[float, float, float, str]:
    return_s = UNKNOWN_RETURN_S if resident.return_s is None else resident.return_s
    idle_s = resident.idle_s or 0.0
    return (resident.priority, return_s / resident.size_bytes, -idle_s, resident.backend_id)


def _needed(chosen: list[Resident], surplus_bytes: int) -> list[Resident]:
    """Without those whose bytes turned out not to be needed: the dearest of them stay first."""
    needed = list(chosen)
    for resident in reversed(chosen):
        if resident.size_bytes <= surplus_bytes:
            needed.remove(resident)
            surplus_bytes -= resident.size_bytes
    return needed
