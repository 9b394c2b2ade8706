"""The state of backends and devices as it is shown to people; never a base for decisions."""

import datetime
from collections.abc import Iterable

from server.workers.ledger import Ledger
from server.workers.measuring import Meter
from server.workers.process import WorkerProcess
from server.workers.record import Record
from server.workers.status import BackendStatus, DeviceStatus


def backend_status(
    record: Record, worker: WorkerProcess | None, meter: Meter, now: float, since: datetime.datetime
) -> BackendStatus:
    """`since`: when the record entered its state; `now` is of the scheduler's clock."""
    stats = worker.stats if worker else None
    return BackendStatus(
        backend_id=record.spec.id,
        state=record.state,
        detail=record.detail,
        since=since,
        in_flight=len(record.leases),
        waiting=len(record.waiting),
        batch_in_flight=len(record.batch_leases),
        batch_waiting=len(record.batch_waiting),
        restarts=record.restarts,
        is_pinned=record.is_pinned,
        need_bytes=record.need_bytes,
        idle_s=record.idle_s(now),
        evictions=dict(record.evictions),
        last_error=record.last_error,
        pid=worker.pid if worker else None,
        load_s=worker.load_s if worker else None,
        wake_s=record.wake_s,
        rss_bytes=meter.resident_bytes(worker) if worker else None,
        device_bytes=meter.device_bytes(worker, record.devices) if worker else None,
        kv_cache_usage=stats.engine.kv_cache_usage if stats else None,
    )


def device_statuses(ledger: Ledger, records: Iterable[Record]) -> list[DeviceStatus]:
    """Every device with who holds how much of it, and who waits to load on it, the next one first."""
    queued = sorted((r.queued_at, r.spec.id, r.devices) for r in records if r.queued_at is not None)
    return [
        DeviceStatus(
            device,
            budget,
            ledger.used_bytes(device),
            tuple(backend_id for _, backend_id, devices in queued if device in devices),
            tuple(ledger.holdings(device)),
        )
        for device, budget in ledger.budgets.items()
    ]
