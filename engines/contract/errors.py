"""The one list of error codes, and the exception that carries one; statuses live in `server/errors.py`."""

import enum


class ErrorCode(enum.StrEnum):
    """Codes as the wire spells them. Documented by the ScaiGrid reference unless marked ours."""

    AUTH_TOKEN_MISSING = "AUTH_TOKEN_MISSING"
    AUTH_TOKEN_INVALID = "AUTH_TOKEN_INVALID"
    AUTHZ_PERMISSION_DENIED = "AUTHZ_PERMISSION_DENIED"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    MODEL_ACCESS_DENIED = "MODEL_ACCESS_DENIED"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    BACKEND_ERROR = "BACKEND_ERROR"
    BACKEND_TIMEOUT = "BACKEND_TIMEOUT"
    BACKEND_RATE_LIMITED = "BACKEND_RATE_LIMITED"
    RATE_LIMITED = "RATE_LIMITED"
    NOT_FOUND = "NOT_FOUND"  # ours: unknown path or object
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"  # ours
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"  # ours
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"  # ours: the client sent its body too slowly
    BAD_REQUEST = "BAD_REQUEST"  # ours: the HTTP message itself is unacceptable (Host, headers)
    CONFLICT = "CONFLICT"  # ours: what is asked for contradicts the state of the object
    STORAGE_FULL = "STORAGE_FULL"  # ours: no room on the server's disk
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"  # ours: the store does not answer
    SHUTTING_DOWN = "SHUTTING_DOWN"  # ours: the server drains
    INTERNAL_ERROR = "INTERNAL_ERROR"  # ours: a bug of ours; the log has the request id


class EngineError(Exception):
    """A refusal or failure with a code, raised by engines and workers and understood by the gateway.

    `message` reaches the client: it must come from our own words, never from another library's exception.
    `field` names the request's field at fault; `retry_after_s` is in whole seconds. `worker_died`: the worker or its
    engine ended while it had the request, and not by an orderly stop; nothing is known about the request's part in it.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
        worker_died: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s
        self.worker_died = worker_died
