"""What a backend's worker is doing, as the API and the command line show it."""

import contextlib
import datetime
import enum
import os
from pathlib import Path

import msgspec

from server.workers.ledger import Holding


class WorkerState(enum.StrEnum):
    """`stopped` has no process, `queued` waits for its turn to load, `failed` is not tried for a while."""

    STOPPED = "stopped"
    QUEUED = "queued"
    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"

    @property
    def is_coming_up(self) -> bool:
        return self in (WorkerState.STARTING, WorkerState.LOADING, WorkerState.WARMING)

    @property
    def has_process(self) -> bool:
        return self.is_coming_up or self in (WorkerState.READY, WorkerState.DRAINING)


class BackendStatus(msgspec.Struct, frozen=True):
    """One line of `hearth ps`. `since`: when the state was entered (UTC); `detail`: the load phase.

    `in_flight` counts batches' requests too, `waiting` does not: nobody waits behind those. `need_bytes` is what a load
    takes on each of its devices, reckoned or measured; `evictions` counts its stops by cause.
    """

    backend_id: str
    state: WorkerState
    detail: str | None
    since: datetime.datetime
    in_flight: int
    waiting: int
    restarts: int
    last_error: str | None
    batch_in_flight: int = 0
    batch_waiting: int = 0
    pid: int | None = None
    load_s: float | None = None
    rss_bytes: int | None = None
    device_bytes: int | None = None
    kv_cache_usage: float | None = None
    is_pinned: bool = False
    need_bytes: int = 0
    idle_s: float | None = None
    evictions: dict[str, int] = {}


class DeviceStatus(msgspec.Struct, frozen=True):
    """One device: `waiting` are backends that wait to load on it, the next one first."""

    device: str
    budget_bytes: int
    used_bytes: int
    waiting: tuple[str, ...]
    holdings: tuple[Holding, ...]


class StateChange(msgspec.Struct, frozen=True):
    """A backend has entered a state, or a phase of it (`detail`)."""

    backend_id: str
    state: WorkerState
    detail: str | None
    since: datetime.datetime

    @property
    def key(self) -> tuple[object, object]:
        return (self.state, self.detail)


def resident_bytes_by_group() -> dict[int, int]:
    """Resident memory per process group, from /proc; pages that processes share count once for each."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    totals: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            group_id = int(fields[2])
            totals[group_id] = totals.get(group_id, 0) + int(fields[21]) * page_bytes
    return totals
