"""What the scheduler knows of one backend, and how many of its places batches may take. Pure."""

import enum
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec
from server.workers.actions import failed, overloaded, restarting, still_loading
from server.workers.backoff import DeathRecord, RestartPolicy
from server.workers.last_words import NOT_STARTED
from server.workers.ledger import CPU
from server.workers.pacing import Pace
from server.workers.status import WorkerState

BATCH_QUEUE_FACTOR = 2  # batch requests that may wait for each place of the backend


class Stage(enum.Enum):
    """Where a record stands in the replacement of one version of a backend by the next."""

    COMING = "coming"
    SERVING = "serving"
    LEAVING = "leaving"


class Fall(NamedTuple):
    """How a model falls asleep: the level, what it held of each device before, what it is reckoned to keep."""

    level: int
    held: Mapping[str, int]
    kept: Mapping[str, int]


class Record:
    """All that is known about one backend. Only the scheduler writes it."""

    def __init__(
        self,
        spec: BackendSpec,
        policy: RestartPolicy,
        now: float,
        *,
        devices: tuple[str, ...] = ("cpu",),
        need_bytes: int = 0,
        host_bytes: int = 0,
        weights_bytes: int = 0,
    ) -> None:
        self.spec = spec
        self.devices = devices  # that it computes on; a worker on a GPU takes memory of the host besides
        self.needs = {CPU: host_bytes} | dict.fromkeys(devices, need_bytes)  # reckoned, after a load measured
        self.granted: dict[str, int] = {}  # of each device, by its last load or wake
        self.is_warned = False  # holds so much more than that that it is to be restarted when idle
        self.weights_bytes = weights_bytes
        self.is_measured = False
        self.load_peaks: dict[str, int] = {}  # what it was seen to hold while it came up the last time
        self.queued_at: float | None = None  # since when it waits for its turn to load or to wake
        self.is_held_up = False  # queued, and waits for another load or for memory, not for a time
        self.sleep_levels: tuple[int, ...] = ()  # that its worker offers
        self.fall: Fall | None = None  # while it falls asleep or is asleep
        self.asleep_bytes: dict[int, Mapping[str, int]] = {}  # level -> what it held of each device
        self.vain_levels: set[int] = set()  # those that freed next to nothing when they were tried
        self.wake_s: float | None = None  # of the last wake
        self.postponed_until = now  # it is not let go for being idle before that
        self.is_pinned = spec.pinned
        self.evictions: dict[str, int] = {}  # by cause
        self.load_s: float | None = None  # of the last load
        self.last_used_at = now
        self.state = WorkerState.STOPPED
        self.detail: str | None = None
        self.since = now
        self.leases: set[int] = set()
        self.waiting: dict[int, float] = {}  # ticket -> deadline, in order of arrival
        self.batch_leases: set[int] = set()  # those of `leases` that batches hold
        self.batch_waiting: dict[int, None] = {}  # tickets in order of arrival; they wait without a deadline
        self.pace = Pace(batch_room(spec))
        self.deaths = DeathRecord(policy)
        self.not_before = now
        self.load_deadline = math.inf
        self.is_doomed = False  # loaded for too long or hung up: its process is about to end
        self.is_wanted = False  # an operator wants it back once it has drained
        self.stage = Stage.SERVING
        self.successor: Record | None = None  # the version that comes up to take its place
        self.restarts = 0
        self.last_error: str | None = None
        self.told_error = NOT_STARTED  # what clients may read of `last_error`

    def enter(self, state: WorkerState, now: float, detail: str | None = None) -> None:
        if state is not self.state:
            self.since = now
            self.queued_at = now if state is WorkerState.QUEUED else None
        self.state = state
        self.detail = detail

    @property
    def need_bytes(self) -> int:
        """On each of `devices`."""
        return self.needs[self.devices[0]]

    @property
    def is_granted(self) -> bool:
        """It may take more than it holds so far: it comes up, or moves its weights."""
        return self.state.is_coming_up or self.state is WorkerState.FALLING_ASLEEP

    @property
    def is_asked_for(self) -> bool:
        """Somebody wants it up: a client, a batch, an operator."""
        return bool(self.is_wanted or self.waiting or self.batch_waiting)

    @property
    def is_kept(self) -> bool:
        """It takes part in a replacement that is not decided: it gives way to nobody and is not let go."""
        return self.successor is not None or self.stage is Stage.COMING

    @property
    def waits_for_successor(self) -> bool:
        """It has no worker, and will get one only if the new version fails."""
        return self.successor is not None and self.state is WorkerState.QUEUED

    @property
    def is_loading(self) -> bool:
        """Coming up, and may still become ready."""
        return self.state.is_coming_up and not self.is_doomed

    @property
    def is_serving(self) -> bool:
        return self.state is WorkerState.READY and not self.is_doomed

    def idle_s(self, now: float) -> float | None:
        """For how long nobody has used it; None while somebody does or waits, or it neither is ready nor asleep."""
        is_wanted = self.leases or self.waiting or self.batch_waiting or self.queued_at is not None
        is_here = self.is_serving or self.state is WorkerState.ASLEEP
        return None if is_wanted or not is_here else now - self.last_used_at

    @property
    def is_busy_with_batches_only(self) -> bool:
        return self.is_serving and not self.waiting and self.leases <= self.batch_leases

    @property
    def is_for_batch_only(self) -> bool:
        """Nobody but batches wants it."""
        return bool(self.batch_waiting) and not self.waiting

    @property
    def keep_until(self) -> float | None:
        """When it shall fall asleep or be stopped if nobody uses it until then."""
        is_asleep = self.state is WorkerState.ASLEEP
        keep_s = self.spec.sleep_for_s if is_asleep else self.spec.keep_alive_s
        if keep_s is None or self.is_pinned or self.is_kept or self.idle_s(self.last_used_at) is None:
            return None
        return max((self.since if is_asleep else self.last_used_at) + keep_s, self.postponed_until)

    def wake_times(self) -> Iterator[float]:
        """When time alone changes something about it."""
        yield from self.waiting.values()
        if self.batch_waiting and self.num_free_for_batch:
            yield self.pace.next_at
        if self.is_loading:
            yield self.load_deadline
        if self.queued_at is not None and not self.is_held_up:
            yield self.not_before
        if self.keep_until is not None:
            yield self.keep_until

    @property
    def num_free(self) -> int:
        if not self.is_serving:
            return 0
        return self.spec.limits.max_concurrency - len(self.leases)

    @property
    def batch_room(self) -> int:
        return batch_room(self.spec)

    @property
    def num_free_for_batch(self) -> int:
        """Places that batches may take now: none while anybody else waits, and never those of the reserve.

        Requests of other classes count as well, so a batch shrinks by one place for each of them that runs.
        """
        if not self.is_serving or self.waiting:
            return 0
        return max(0, self.batch_room - len(self.leases))

    def refusal(self, now: float) -> EngineError:
        """Why a request cannot be served in the state that it is in."""
        if self.state is WorkerState.READY:
            return overloaded(len(self.leases), len(self.waiting))
        if self.state is WorkerState.FAILED:
            return failed(max(1, math.ceil(self.not_before - now)), self.told_error)
        return still_loading() if self.last_error is None else restarting(self.told_error)

    @property
    def max_batch_waiting(self) -> int:
        return BATCH_QUEUE_FACTOR * self.spec.limits.max_concurrency


def batch_room(spec: BackendSpec) -> int:
    """How many leases batches may hold: all but a quarter, which is at least one where there are two or more."""
    total = spec.limits.max_concurrency
    return total if total == 1 else total - max(1, total // 4)
