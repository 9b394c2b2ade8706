"""The one place where answers and failures get their shape on the wire. Knows no route and no model.

Native: `{"status", "data" | "error", "meta"}`. On the OpenAI surface failures are `{"error": {...}}`, and a
VALIDATION_ERROR is 400 there as OpenAI's clients expect (native: 422).
"""

import json
import math
from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope, Send

from engines.contract.errors import EngineError, ErrorCode
from server.errors import OUTWARD, FieldProblem, ServiceError

DONE_FRAME = b"data: [DONE]\n\n"
_OPENAI_ALIASES = (
    "/v1/chat/",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/images/",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)
_MAX_PROBLEMS = 20
_MAX_FIELD_CHARS = 200


class Pagination(TypedDict):
    has_more: bool
    next_cursor: str | None


def is_openai_surface(path: str) -> bool:
    return path.startswith("/oai/") or path.startswith(_OPENAI_ALIASES)


def success(data: object, request_id: str, pagination: Pagination | None = None) -> dict[str, object]:
    body: dict[str, object] = {"status": "ok", "data": data, "meta": {"request_id": request_id}}
    if pagination is not None:
        body["pagination"] = pagination
    return body


def error_body(error: ServiceError, request_id: str) -> dict[str, object]:
    fields: dict[str, object] = {"code": error.code.value, "message": error.message}
    if error.retry_after_s is not None:
        fields["retry_after"] = error.retry_after_s
    if error.details:
        fields["details"] = [problem._asdict() for problem in error.details]
    return {"status": "error", "error": fields, "meta": {"request_id": request_id}}


def openai_error_body(error: ServiceError) -> dict[str, object]:
    param = error.details[0].field if error.details else None
    kind = OUTWARD[error.code].openai_type
    return {"error": {"message": error.message, "type": kind, "param": param, "code": error.code.value}}


def error_frame(error: ServiceError, *, openai: bool) -> bytes:
    """The SSE event that reports a failure after the stream has begun; DONE_FRAME still has to follow it."""
    body = openai_error_body(error) if openai else {"code": error.code.value, "message": error.message}
    return b"event: error\ndata: " + to_json(body) + b"\n\n"


def status_for(error: ServiceError, path: str) -> int:
    if error.code is ErrorCode.VALIDATION_ERROR and is_openai_surface(path):
        return 400
    return error.status


def to_json(value: object) -> bytes:
    """JSON in UTF-8. Never raises on text of a model: a lone surrogate becomes U+FFFD; NaN and infinities
    become null.
    """
    try:
        return orjson.dumps(value, default=msgspec.to_builtins, option=orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(_cleaned(value), ensure_ascii=False, separators=(",", ":")).encode()


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return _cleaned(msgspec.to_builtins(value))


class Json(Response):
    """A JSON answer rendered by `to_json`."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return to_json(content)


def error_response(scope: Scope, error: ServiceError) -> Json:
    """The answer to a failed request in the shape of the surface that its path belongs to."""
    path: str = scope["path"]
    body = openai_error_body(error) if is_openai_surface(path) else error_body(error, _request_id(scope))
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Json(body, status_code=status_for(error, path), headers=headers)


async def send_error(scope: Scope, send: Send, error: ServiceError) -> None:
    """Answer from an ASGI layer. A body that the client still sends is read and thrown away by
    `http/protocol.py`.
    """
    response = error_response(scope, error)
    start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.body})


def internal_error() -> ServiceError:
    """What a client learns of a bug of ours."""
    return ServiceError(ErrorCode.INTERNAL_ERROR, "the server failed; its log has the request id")


def install_handlers(app: FastAPI) -> None:
    """Give every failure of a route its shape; what is none of these ends in `http/context.py`."""

    async def on_service_error(request: Request, error: Exception) -> Response:
        return error_response(request.scope, error)  # type: ignore[arg-type]  # registered for ServiceError only

    async def on_engine_error(request: Request, error: Exception) -> Response:
        return error_response(request.scope, ServiceError.from_engine(error))  # type: ignore[arg-type]  # as above

    async def on_invalid(request: Request, error: Exception) -> Response:
        return error_response(request.scope, _from_validation(error))  # type: ignore[arg-type]  # as above

    async def on_http_exception(request: Request, error: Exception) -> Response:
        response = error_response(request.scope, _from_http_exception(error))  # type: ignore[arg-type]  # as above
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(EngineError, on_engine_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_exception)


def _from_http_exception(error: HTTPException) -> ServiceError:
    """Starlette's own refusals. Its `detail` is not shown; a ServiceError that FastAPI wrapped is taken out
    again.
    """
    if isinstance(error.__cause__, ServiceError):
        return error.__cause__
    match error.status_code:
        case 404:
            return ServiceError(ErrorCode.NOT_FOUND, "there is nothing at this path")
        case 405:
            return ServiceError(ErrorCode.METHOD_NOT_ALLOWED, "this path does not support the method")
        case 413:
            return ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, "the body is too large")
        case 400:
            return ServiceError(ErrorCode.VALIDATION_ERROR, "the body cannot be read as its content type")
        case status if status < 500:
            return ServiceError(ErrorCode.BAD_REQUEST, "the request cannot be served")
        case _:
            return internal_error()


def _from_validation(error: RequestValidationError) -> ServiceError:
    problems = tuple(_field_problem(problem) for problem in error.errors()[:_MAX_PROBLEMS])
    message = "; ".join(f"{problem.field}: {problem.message}" for problem in problems[:3])
    return ServiceError(ErrorCode.VALIDATION_ERROR, message, details=problems)


def _field_problem(problem: Mapping[str, Any]) -> FieldProblem:
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "json_invalid":
        return FieldProblem("body", "not valid JSON")
    path = ".".join(location[1:]) or location[0]
    return FieldProblem(path[:_MAX_FIELD_CHARS], str(problem["msg"]))


def _request_id(scope: Scope) -> str:
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id
