"""The states of a batch and what they mean. Pure."""

import enum

import msgspec


class BatchState(enum.StrEnum):
    """As OpenAI's API spells them."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self in ENDED


class Outcome(enum.StrEnum):
    """What became of a line."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({BatchState.COMPLETED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED})
ACTIVE = frozenset(BatchState) - ENDED
CANCELLABLE = frozenset({BatchState.VALIDATING, BatchState.IN_PROGRESS})


class Counts(msgspec.Struct, frozen=True):
    """Lines by what became of them: together with `pending` they are always `total`."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0

    @property
    def done(self) -> int:
        return self.completed + self.failed + self.cancelled + self.expired

    @property
    def pending(self) -> int:
        return self.total - self.done


def state_after(state: BatchState, counts: Counts) -> BatchState:
    """How a batch ends whose files are published: `state` is `finalizing` or `cancelling`."""
    if state is BatchState.CANCELLING:
        return BatchState.CANCELLED
    return BatchState.EXPIRED if counts.expired else BatchState.COMPLETED
