"""How a failure looks from outside: the one table from error code to HTTP status and OpenAI error type."""

from typing import NamedTuple

from engines.contract.errors import EngineError, ErrorCode


class Outward(NamedTuple):
    """`retry_after_s` is sent where the raiser gave none; None means that repeating does not help by itself."""

    status: int
    openai_type: str
    retry_after_s: int | None = None


OUTWARD: dict[ErrorCode, Outward] = {
    ErrorCode.AUTH_TOKEN_MISSING: Outward(401, "authentication_error"),
    ErrorCode.AUTH_TOKEN_INVALID: Outward(401, "authentication_error"),
    ErrorCode.AUTHZ_PERMISSION_DENIED: Outward(403, "permission_error"),
    ErrorCode.VALIDATION_ERROR: Outward(422, "invalid_request_error"),
    ErrorCode.MODEL_NOT_FOUND: Outward(404, "invalid_request_error"),
    ErrorCode.MODEL_ACCESS_DENIED: Outward(403, "permission_error"),
    ErrorCode.MODEL_UNAVAILABLE: Outward(503, "server_error", 10),
    ErrorCode.BACKEND_ERROR: Outward(502, "server_error"),
    ErrorCode.BACKEND_TIMEOUT: Outward(504, "server_error"),
    ErrorCode.BACKEND_RATE_LIMITED: Outward(429, "rate_limit_error", 1),
    ErrorCode.RATE_LIMITED: Outward(429, "rate_limit_error", 1),
    ErrorCode.NOT_FOUND: Outward(404, "invalid_request_error"),
    ErrorCode.METHOD_NOT_ALLOWED: Outward(405, "invalid_request_error"),
    ErrorCode.PAYLOAD_TOO_LARGE: Outward(413, "invalid_request_error"),
    ErrorCode.REQUEST_TIMEOUT: Outward(408, "invalid_request_error"),
    ErrorCode.BAD_REQUEST: Outward(400, "invalid_request_error"),
    ErrorCode.CONFLICT: Outward(409, "invalid_request_error"),
    ErrorCode.STORAGE_FULL: Outward(507, "server_error", 60),
    ErrorCode.STORAGE_UNAVAILABLE: Outward(503, "server_error", 5),
    ErrorCode.SHUTTING_DOWN: Outward(503, "server_error", 5),
    ErrorCode.INTERNAL_ERROR: Outward(500, "server_error"),
}


class FieldProblem(NamedTuple):
    """One entry of `error.details`: where (dotted path into the body) and what is wrong."""

    field: str
    message: str


class ServiceError(Exception):
    """A refusal or failure that the API process itself decides; becomes an envelope in `envelope.py`.

    `message` is shown to clients, so it is ours: never an exception's text. `worker_died` is for the gateway's callers
    only: the worker ended while it had the request, so that it may be tried again.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        details: tuple[FieldProblem, ...] = (),
        retry_after_s: int | None = None,
        worker_died: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.worker_died = worker_died
        self.retry_after_s = OUTWARD[code].retry_after_s if retry_after_s is None else retry_after_s

    @property
    def status(self) -> int:
        return OUTWARD[self.code].status

    @classmethod
    def from_engine(cls, error: EngineError) -> "ServiceError":
        details = (FieldProblem(error.field, error.message),) if error.field else ()
        message = f"{error.field}: {error.message}" if error.field else error.message
        return cls(
            error.code,
            message,
            details=details,
            retry_after_s=error.retry_after_s,
            worker_died=error.worker_died,
        )


def invalid(field: str, message: str) -> ServiceError:
    """A VALIDATION_ERROR about one field."""
    return ServiceError(
        ErrorCode.VALIDATION_ERROR, f"{field}: {message}", details=(FieldProblem(field, message),)
    )
