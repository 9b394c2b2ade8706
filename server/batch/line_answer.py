"""What came of one line, and how the output and the error file tell it. Pure."""

import enum

import msgspec

from engines.contract.types import Usage
from server.envelope import error_body, is_openai_surface, openai_error_body, status_for, to_json
from server.errors import ServiceError
from server.files import FileRecord


class LineAnswer(msgspec.Struct, frozen=True):
    """What a route would have answered. `body` is JSON; `files` have their content, but no row yet."""

    status_code: int
    request_id: str
    body: bytes
    usage: Usage | None = None
    files: tuple[FileRecord, ...] = ()


class LineFailure(enum.StrEnum):
    """Why a line has no answer."""

    BATCH_EXPIRED = "batch_expired"
    BATCH_CANCELLED = "batch_cancelled"
    WORKER_CRASHED = "worker_crashed"


_WORDS = {
    LineFailure.BATCH_EXPIRED: "The batch's completion window ended before this line did",
    LineFailure.BATCH_CANCELLED: "The batch was cancelled before this line ended",
    LineFailure.WORKER_CRASHED: "The model's worker died twice while it ran this line",
}


def refusal(error: ServiceError, url: str, request_id: str) -> LineAnswer:
    """`error` as the route of `url` would tell it."""
    is_openai = is_openai_surface(url)
    body = openai_error_body(error) if is_openai else error_body(error, request_id)
    return LineAnswer(status_for(error, url), request_id, to_json(body))


def answered_line(batch_id: str, line_no: int, custom_id: str, *, answer: LineAnswer, attempts: int) -> bytes:
    """With its end of line. The body goes in as it is: reading it again would cost more than making it."""
    head = to_json({"status_code": answer.status_code, "request_id": answer.request_id})
    response = head[:-1] + b',"body":' + answer.body + b"}"
    return _line(batch_id, line_no, custom_id, response, b"null", attempts)


def unanswered_line(
    batch_id: str, line_no: int, custom_id: str, *, failure: LineFailure, attempts: int
) -> bytes:
    """With its end of line."""
    error = to_json({"code": failure, "message": _WORDS[failure]})
    return _line(batch_id, line_no, custom_id, b"null", error, attempts)


def _line(batch_id: str, line_no: int, custom_id: str, response: bytes, error: bytes, attempts: int) -> bytes:
    line_id = f"batch_req_{batch_id.removeprefix('batch_')}_{line_no}"
    head = to_json({"id": line_id, "custom_id": custom_id})
    return head[:-1] + b',"response":%s,"error":%s,"attempts":%d}\n' % (response, error, attempts)
