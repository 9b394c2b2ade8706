"""What a backend's worker is doing, as the API and the command line show it."""

import datetime
import enum

import msgspec

from server.workers.ledger import Holding
from server.workers.replacement_status import ReplacementStatus


class WorkerState(enum.StrEnum):
    """`stopped` has no process, `queued` waits for its turn to load, `failed` is not tried for a while.

    `asleep` has a process but no weights, or has them in host RAM: it holds less and is back sooner than by a load.
    """

    STOPPED = "stopped"
    QUEUED = "queued"
    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    FALLING_ASLEEP = "falling_asleep"
    ASLEEP = "asleep"
    WAKING = "waking"
    DRAINING = "draining"
    FAILED = "failed"

    @property
    def is_coming_up(self) -> bool:
        """To be ready, from a start or from sleep."""
        return self in _COMING_UP

    @property
    def has_process(self) -> bool:
        return self not in _WITHOUT_PROCESS


_COMING_UP = frozenset({WorkerState.STARTING, WorkerState.LOADING, WorkerState.WARMING, WorkerState.WAKING})
_WITHOUT_PROCESS = frozenset({WorkerState.STOPPED, WorkerState.QUEUED, WorkerState.FAILED})


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
    wake_s: float | None = None
    rss_bytes: int | None = None
    device_bytes: int | None = None
    kv_cache_usage: float | None = None
    is_pinned: bool = False
    need_bytes: int = 0
    idle_s: float | None = None
    evictions: dict[str, int] = {}
    replacement: ReplacementStatus | None = None


class DeviceStatus(msgspec.Struct, frozen=True):
    """One device: `waiting` are backends that wait to load on it, the next one first. `free_bytes` may be granted: less
    than the budget leaves where other programs took memory.
    """

    device: str
    budget_bytes: int
    used_bytes: int
    waiting: tuple[str, ...]
    holdings: tuple[Holding, ...]
    free_bytes: int


class StateChange(msgspec.Struct, frozen=True):
    """A backend has entered a state, or a phase of it (`detail`)."""

    backend_id: str
    state: WorkerState
    detail: str | None
    since: datetime.datetime

    @property
    def event(self) -> str:
        return "backend.state"

    @property
    def topic(self) -> str:
        return self.backend_id

    @property
    def key(self) -> tuple[object, ...]:
        return (self.state, self.detail)


Change = StateChange | ReplacementStatus
