"""What a failure means to a line. Pure."""

import enum

from engines.contract.errors import ErrorCode
from server.errors import ServiceError

MAX_DEATHS = 2  # promise B10
MAX_FAILURES = 2
LONGEST_WAIT_S = 30.0
LONGEST_STORAGE_WAIT_S = 4.0


class Verdict(enum.Enum):
    """What to do with a line whose attempt has failed."""

    WAIT = "wait"  # nothing is wrong with it: its backend or the store cannot take it now
    REPEAT = "repeat"  # once more may help
    SUSPECT = "suspect"  # a worker died: once more, alone
    CRASHED = "crashed"  # workers die of it, or with it
    RECORD = "record"  # the failure is its outcome


STORAGE = frozenset({ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_UNAVAILABLE})
_PASSING = STORAGE | frozenset(
    {
        ErrorCode.MODEL_UNAVAILABLE,
        ErrorCode.BACKEND_RATE_LIMITED,
        ErrorCode.RATE_LIMITED,
        ErrorCode.SHUTTING_DOWN,
    }
)
_REPEATED = frozenset({ErrorCode.BACKEND_ERROR, ErrorCode.BACKEND_TIMEOUT, ErrorCode.INTERNAL_ERROR})


def judge(error: ServiceError, *, deaths: int, failures: int) -> Verdict:
    """`deaths` and `failures` count this one too."""
    if error.worker_died:
        return Verdict.CRASHED if deaths >= MAX_DEATHS else Verdict.SUSPECT
    if error.code in _PASSING:
        return Verdict.WAIT
    if error.code in _REPEATED and failures < MAX_FAILURES:
        return Verdict.REPEAT
    return Verdict.RECORD


def wait_s(error: ServiceError, num_waits: int) -> float:
    """What the error asks for, at least, and the longer the more often it was in vain; for our own store, a moment."""
    if error.code in STORAGE:
        return min(LONGEST_STORAGE_WAIT_S, 0.5 * (1 << min(num_waits, 6)))
    return min(LONGEST_WAIT_S, max(error.retry_after_s or 0.0, 0.5 * (1 << min(num_waits, 6))))
