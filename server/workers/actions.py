"""What the scheduler asks of the supervisor, and the words in which it refuses. Knows no state."""

import msgspec

from engines.contract.errors import EngineError, ErrorCode


class StartWorker(msgspec.Struct, frozen=True):
    backend_id: str


class StopWorker(msgspec.Struct, frozen=True):
    """End the worker; `reason` is None for an orderly stop, else why it is killed."""

    backend_id: str
    reason: str | None = None


class SleepWorker(msgspec.Struct, frozen=True):
    """Only for a worker that no request runs in."""

    backend_id: str
    level: int


class WakeWorker(msgspec.Struct, frozen=True):
    backend_id: str


class ProbeWorker(msgspec.Struct, frozen=True):
    """Ask a ready worker that serves nobody yet; the answer comes back by `on_probed`."""

    backend_id: str


class Grant(msgspec.Struct, frozen=True):
    ticket: int
    backend_id: str


class Refuse(msgspec.Struct, frozen=True):
    ticket: int
    error: EngineError


Action = StartWorker | StopWorker | SleepWorker | WakeWorker | ProbeWorker | Grant | Refuse


def overloaded(num_running: int, num_waiting: int) -> EngineError:
    message = f"{num_running} requests run and {num_waiting} wait for this model"
    return EngineError(ErrorCode.BACKEND_RATE_LIMITED, message, retry_after_s=1)


def still_loading() -> EngineError:
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, "The model is still loading", retry_after_s=10)


def restarting(told_error: str) -> EngineError:
    message = f"The model is starting again after a failure: {told_error}"
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, message, retry_after_s=10)


def failed(retry_after_s: int, told_error: str) -> EngineError:
    message = f"The model failed and is tried again in {retry_after_s} s: {told_error}"
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, message, retry_after_s=retry_after_s)


def stopped() -> EngineError:
    message = "The model was stopped by an operator"
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, message, retry_after_s=10)


def shutting_down() -> EngineError:
    return EngineError(ErrorCode.SHUTTING_DOWN, "The server is shutting down", retry_after_s=5)
