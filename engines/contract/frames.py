"""The wire between the API process and a worker: small tagged structs, one per thing that can be said.

A new or changed frame raises PROTOCOL_VERSION and changes its snapshot in `tests/engines/contract/snapshots/`.
Ids are chosen by the gateway, are unique on its connection, and end with exactly one Done or Failed.
"""

import msgspec

from engines.contract.engine import EngineStats, Phase
from engines.contract.errors import ErrorCode
from engines.contract.requests import Item, Request
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage

PROTOCOL_VERSION = 5


class Init(msgspec.Struct, frozen=True, tag="init", forbid_unknown_fields=True):
    """First frame of the supervisor's connection: load this."""

    version: int
    spec: BackendSpec


class Attach(msgspec.Struct, frozen=True, tag="attach", forbid_unknown_fields=True):
    """First frame of any further gateway's connection."""

    version: int


class Start(msgspec.Struct, frozen=True, tag="start", forbid_unknown_fields=True):
    id: int
    request: Request
    priority: Priority = Priority.DEFAULT


class Cancel(msgspec.Struct, frozen=True, tag="cancel", forbid_unknown_fields=True):
    """Stop request `id` now; answered by Failed or Done, whichever came first. Unknown ids are ignored."""

    id: int


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown", forbid_unknown_fields=True):
    """Fail what still runs, close the engine, exit 0."""


class Sleep(msgspec.Struct, frozen=True, tag="sleep", forbid_unknown_fields=True):
    """From hot to `level`. Answered by Asleep or by ResidencyFailed, as soon as requests in flight have ended.

    From this frame on requests are refused with MODEL_UNAVAILABLE. `timeout_s` is for each, the waiting and the rest.
    """

    level: int
    timeout_s: float = 60.0


class Wake(msgspec.Struct, frozen=True, tag="wake", forbid_unknown_fields=True):
    """To hot. Answered by Awake or by ResidencyFailed; at once if the model is hot already."""

    timeout_s: float = 600.0


class Progress(msgspec.Struct, frozen=True, tag="progress", forbid_unknown_fields=True):
    phase: Phase
    detail: str


class Ready(msgspec.Struct, frozen=True, tag="ready", forbid_unknown_fields=True):
    """The engine computed a real answer; `load_s` is the time from Init. `sleep_levels`: those that Sleep may name."""

    version: int
    load_s: float
    sleep_levels: tuple[int, ...] = ()


class LoadFailed(msgspec.Struct, frozen=True, tag="load_failed", forbid_unknown_fields=True):
    """The worker exits after this. `permanent` says that trying again cannot help."""

    message: str
    permanent: bool


class Asleep(msgspec.Struct, frozen=True, tag="asleep", forbid_unknown_fields=True):
    """Measured, not promised: a level 1 that moves weights from a GPU frees less than nothing of the host's memory.

    `took_s` is without the wait for requests in flight.
    """

    level: int
    took_s: float
    freed_host_bytes: int
    freed_device_bytes: int


class Awake(msgspec.Struct, frozen=True, tag="awake", forbid_unknown_fields=True):
    """Hot, and the engine computed a real answer since."""

    took_s: float


class ResidencyFailed(msgspec.Struct, frozen=True, tag="residency_failed", forbid_unknown_fields=True):
    """A Sleep or Wake that was not carried out. Refused, the model stays as it was; `is_fatal`, the worker exits."""

    message: str
    is_fatal: bool


class Dying(msgspec.Struct, frozen=True, tag="dying", forbid_unknown_fields=True):
    """The worker, which was ready, exits after this for a fault of its own: `reason` in words of ours."""

    reason: str


class Accepted(msgspec.Struct, frozen=True, tag="accepted", forbid_unknown_fields=True):
    id: int


class Items(msgspec.Struct, frozen=True, tag="items", forbid_unknown_fields=True):
    """What all requests that moved in one engine step have to tell, in order per id."""

    items: list[tuple[int, Item]]


class Done(msgspec.Struct, frozen=True, tag="done", forbid_unknown_fields=True):
    id: int
    usage: Usage


class Failed(msgspec.Struct, frozen=True, tag="failed", forbid_unknown_fields=True):
    """`worker_died`: the engine died, or the worker ends for a fault of its own, not because it was told to."""

    id: int
    code: ErrorCode
    message: str
    field: str | None = None
    retry_after_s: int | None = None
    worker_died: bool = False


class Stats(msgspec.Struct, frozen=True, tag="stats", forbid_unknown_fields=True):
    """Sent every second while the worker lives.

    `oldest_idle_s`: the longest time that a running request showed nothing while the engine took no step either.
    `host_bytes`: resident memory of the worker's process group, pages that it shares with others in proportion.
    """

    in_flight: int
    oldest_idle_s: float
    engine: EngineStats
    host_bytes: int = 0


ToWorker = Init | Attach | Start | Cancel | Sleep | Wake | Shutdown
FromWorker = (
    Progress
    | Ready
    | LoadFailed
    | Asleep
    | Awake
    | ResidencyFailed
    | Dying
    | Accepted
    | Items
    | Done
    | Failed
    | Stats
)
