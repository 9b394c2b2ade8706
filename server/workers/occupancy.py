"""How busy a backend is, for whoever chooses between several. Decides nothing."""

from typing import NamedTuple

from server.workers.record import Record
from server.workers.status import WorkerState

_LEAVING = (WorkerState.DRAINING, WorkerState.FALLING_ASLEEP)


class Occupancy(NamedTuple):
    """`is_serving`: it gives leases now. `is_queued`: it waits for its turn to load or to wake. `is_given_up`: it has
    failed and is left alone for a while.

    `num_running` counts requests of batches too. They have `max_running` places, of which batches get `batch_room`.
    """

    state: WorkerState
    is_serving: bool = False
    is_queued: bool = False
    is_given_up: bool = False
    num_running: int = 0
    num_waiting: int = 0
    num_batch_waiting: int = 0
    max_running: int = 1
    max_waiting: int = 0
    batch_room: int = 1

    @property
    def is_coming_up(self) -> bool:
        """It will serve without being asked once more."""
        is_lost = self.state is WorkerState.READY and not self.is_serving
        return self.state.is_coming_up or self.is_queued or is_lost

    @property
    def is_idle(self) -> bool:
        """It serves once somebody asks: asleep, stopped, or failed long ago."""
        is_otherwise = self.is_serving or self.is_coming_up or self.is_given_up or self.state in _LEAVING
        return not is_otherwise


def occupancy(record: Record, now: float) -> Occupancy:
    return Occupancy(
        record.state,
        is_serving=record.is_serving,
        is_queued=record.queued_at is not None,
        is_given_up=record.state is WorkerState.FAILED and now < record.not_before,
        num_running=len(record.leases),
        num_waiting=len(record.waiting),
        num_batch_waiting=len(record.batch_waiting),
        max_running=record.spec.limits.max_concurrency,
        max_waiting=record.spec.limits.max_queue,
        batch_room=record.batch_room,
    )
