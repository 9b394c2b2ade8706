"""What to do about a device on which models hold more than they may. Pure.

The rule, to be read by people. A model that holds more than it was granted, because it was reckoned too small, grew or
lied, goes first: its restart gives back what it took. In use it is told, and restarted at its next idle moment.
What is missing besides is taken from models that nobody uses, as when room is made for a load; if all of them are not
enough they go nevertheless. Models that keep to their grants and are in use are left alone. Far beyond the budget the
one that took most is killed, before the system kills somebody else.
"""

from collections.abc import Collection, Iterable

import msgspec

from server.workers.eviction import Resident, choose_victims
from server.workers.ladder import freed_bytes
from server.workers.ledger import Ledger
from server.workers.record import Record
from server.workers.status import WorkerState

TOLERATED_SHARE = 0.1  # of its grant that a model may hold besides
TOLERATED_BYTES = 64 * 1024**2
FAR_SHARE = 0.25  # of the budget: beyond it nobody waits for an idle moment


class Tenant(msgspec.Struct, frozen=True):
    """A ready model on the device. `granted_bytes` is what its load was let in with; the rest as in `Resident`."""

    backend_id: str
    held_bytes: int
    granted_bytes: int
    idle_s: float | None
    is_pinned: bool = False
    priority: int = 0
    return_s: float | None = None

    @property
    def excess_bytes(self) -> int:
        return self.held_bytes - self.granted_bytes

    @property
    def is_overgrown(self) -> bool:
        tolerated = max(TOLERATED_BYTES, int(self.granted_bytes * TOLERATED_SHARE))
        return self.excess_bytes > tolerated


class Relief(msgspec.Struct, frozen=True):
    """Ids of backends, each once. `restart`: now, they are idle; `evict`: stop them as for a load; `warn`: overgrown
    and in use, to be restarted when idle; `kill`: now, their requests fail.
    """

    restart: tuple[str, ...] = ()
    evict: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()


def relieve(used_bytes: int, leaving_bytes: int, budget_bytes: int, tenants: Iterable[Tenant]) -> Relief:
    """`used_bytes` is what all models hold or were granted, those that come up or go included; of that `leaving_bytes`
    become free by themselves. Nothing is done while the rest fits.
    """
    missing = used_bytes - leaving_bytes - budget_bytes
    if missing <= 0:
        return Relief()
    everybody = list(tenants)
    overgrown = sorted((t for t in everybody if t.is_overgrown), key=_by_excess)
    restart = _enough([t for t in overgrown if t.idle_s is not None], missing)
    missing -= sum(t.held_bytes for t in restart)
    gone = {t.backend_id for t in restart}
    evict = _evictions(missing, [t for t in everybody if t.backend_id not in gone])
    missing -= sum(t.held_bytes for t in everybody if t.backend_id in evict)
    busy = [t for t in overgrown if t.idle_s is None] if missing > 0 else []
    kill = _enough(busy, missing) if missing > budget_bytes * FAR_SHARE else []
    warn = [t for t in busy if t not in kill]
    return Relief(_ids(restart), evict, _ids(warn), _ids(kill))


def find_relief(device: str, records: Collection[Record], ledger: Ledger, now: float) -> Relief:
    """`relieve` for what records and ledger say of a device."""
    used, budget = ledger.used_bytes(device), ledger.budgets.get(device)
    if budget is None or used <= budget:
        return Relief()
    leaving = sum(_leaving_bytes(record, device, ledger) for record in records)
    return relieve(used, leaving, budget, [_tenant(r, device, ledger, now) for r in records if _is_tenant(r)])


def _is_tenant(record: Record) -> bool:
    return record.is_serving or record.state is WorkerState.ASLEEP


def _tenant(record: Record, device: str, ledger: Ledger, now: float) -> Tenant:
    held = ledger.held_bytes(device, record.spec.id)
    return Tenant(
        record.spec.id,
        held,
        record.granted.get(device, held),
        record.idle_s(now),
        is_pinned=record.is_pinned or record.is_kept,
        priority=record.spec.priority,
        return_s=record.load_s,
    )


def _leaving_bytes(record: Record, device: str, ledger: Ledger) -> int:
    if record.state is WorkerState.FALLING_ASLEEP:
        return freed_bytes(record, device, ledger, record.fall)
    is_leaving = record.state is WorkerState.DRAINING or record.is_doomed
    return ledger.held_bytes(device, record.spec.id) if is_leaving else 0


def _evictions(missing_bytes: int, tenants: list[Tenant]) -> tuple[str, ...]:
    if missing_bytes <= 0:
        return ()
    residents = [
        Resident(t.backend_id, t.held_bytes, t.idle_s, t.is_pinned, t.priority, t.return_s) for t in tenants
    ]
    chosen = choose_victims(missing_bytes, residents)
    if chosen is not None:
        return chosen
    return tuple(t.backend_id for t in tenants if t.idle_s is not None and not t.is_pinned and t.held_bytes)


def _enough(tenants: list[Tenant], missing_bytes: int) -> list[Tenant]:
    """The first of them that hold so much together, or all."""
    chosen: list[Tenant] = []
    for tenant in tenants:
        if missing_bytes <= 0:
            break
        chosen.append(tenant)
        missing_bytes -= tenant.held_bytes
    return chosen


def _by_excess(tenant: Tenant) -> tuple[int, str]:
    return (-tenant.excess_bytes, tenant.backend_id)


def _ids(tenants: Iterable[Tenant]) -> tuple[str, ...]:
    return tuple(tenant.backend_id for tenant in tenants)
