"""Keeps a failure of the device to the requests that it belongs to: smaller batches, one request, or the whole process.

Stands around what computes a batch, on the compute thread; knows no library.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.batcher import Compute, Job
from engines.runtime.faults import Fault, judge
from engines.runtime.logs import log_event

_Work = TypeVar("_Work")
_Answer = TypeVar("_Answer")
_FAILURES = (RuntimeError, MemoryError)  # what the libraries raise; anything else is a bug of ours


class Guard:
    """`failure` is set once the device has failed for good. `release` gives back what the library keeps unused."""

    def __init__(self, release: Callable[[], None] = lambda: None) -> None:
        self.failure: str | None = None
        self._release = release

    def check(self) -> None:
        """Raises EngineError(BACKEND_ERROR) after a failure that only a new process helps."""
        if self.failure is not None:
            raise EngineError(ErrorCode.BACKEND_ERROR, self.failure)

    def around(self, compute: Compute[_Work, _Answer]) -> Compute[_Work, _Answer]:
        """As `compute`; but where memory runs out, half of the batch is tried, and so on: what is too large by itself
        fails by itself. `compute` must have left its jobs as they were when it raises.
        """

        def guarded(batch: list[Job[_Work, _Answer]]) -> Sequence[_Answer | BaseException]:
            try:
                return compute(batch)
            except _FAILURES as error:
                self.note(error)
            # Not in the handler: there the traceback still holds all that was computed, and nothing could go back.
            self._release()
            if len(batch) == 1:
                return [too_large()]
            middle = len(batch) // 2
            return [*guarded(batch[:middle]), *guarded(batch[middle:])]

        return guarded

    def note(self, error: BaseException) -> None:
        """Returns if there was too little memory. Raises EngineError(BACKEND_ERROR) if the device failed, and `error`
        itself if it says nothing of the device.
        """
        verdict = judge(error)
        if verdict.fault is Fault.REQUEST:
            raise error
        log_event("device.failed", exc_info=error, fault=verdict.fault.value)
        if verdict.fault is Fault.DEVICE:
            self.failure = f"the device failed: {verdict.sign}" if verdict.sign else "the device failed"
            raise EngineError(ErrorCode.BACKEND_ERROR, self.failure) from error


def too_large() -> EngineError:
    return EngineError(ErrorCode.BACKEND_ERROR, "the device has too little memory for this request")
