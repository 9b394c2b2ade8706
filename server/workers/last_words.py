"""Why a worker ended: in full for those who manage models, and in words that every client may read. Pure."""

from engines.contract.frames import LoadFailed
from server.workers.ending import describe_exit

NOT_STARTED = "its process could not be started"
NOT_LOADED = "it could not be loaded"
NOT_WOKEN = "it could not be woken"


class LastWords:
    """What is known of one worker's end; the first of these that is set counts.

    `load_failure` and `lost_residency` are an engine's words for its operator, and may name files; the others are ours:
    `illness` is why the worker gave itself up, `kill_reason` why it was killed.
    """

    def __init__(self) -> None:
        self.load_failure: LoadFailed | None = None
        self.lost_residency: str | None = None
        self.illness: str | None = None
        self.kill_reason: str | None = None

    @property
    def is_permanent(self) -> bool:
        return self.load_failure is not None and self.load_failure.permanent

    def reason(self, status: int | None, *, is_asked: bool) -> str | None:
        """`status` as in `describe_exit`. None: it ended in order, because it was asked to (`is_asked`)."""
        if self.load_failure is not None:
            return self.load_failure.message
        words = self.lost_residency or self.illness or self.kill_reason
        if words is not None or is_asked:
            return words
        return describe_exit(status)

    def told(self, reason: str | None) -> str | None:
        """What clients may read instead of `reason`."""
        if self.load_failure is not None:
            return NOT_LOADED
        return reason if self.lost_residency is None else NOT_WOKEN
