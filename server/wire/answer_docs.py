"""`responses` of routes for the API's description, with examples made by the code that makes the answers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engines.contract.chat import Delta
from engines.contract.errors import ErrorCode
from engines.contract.image import ImageProgress, Picture
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import DONE_FRAME, error_body, openai_error_body
from server.errors import OUTWARD, FieldProblem, ServiceError
from server.streaming import Renderer
from server.wire.heading import Heading

Responses = dict[int | str, dict[str, Any]]

REQUEST_ID = "req_8f14e45fceea167a"
EXAMPLE_TIME = 1760000000
_USAGE = Usage(14, 2)
_DELTAS: tuple[Item, ...] = (Delta(0, "Paris"), Delta(0, ".", finish_reason="stop"))
_PICTURES: tuple[Item, ...] = (ImageProgress(1, 15), Picture(0, b"PNG", 42, 64, 64))
_LISTING_ERRORS: dict[ErrorCode, str] = {
    ErrorCode.AUTH_TOKEN_MISSING: "No key, or one that is not valid (AUTH_TOKEN_INVALID)",
    ErrorCode.AUTHZ_PERMISSION_DENIED: "The key lacks the permission, or the model (MODEL_ACCESS_DENIED)",
    ErrorCode.MODEL_NOT_FOUND: "No model has this name",
    ErrorCode.VALIDATION_ERROR: "A field is wrong; details name it",
}
_INFERENCE_ERRORS = _LISTING_ERRORS | {
    ErrorCode.PAYLOAD_TOO_LARGE: "The body is too large",
    ErrorCode.BACKEND_RATE_LIMITED: "The model's queue is full",
    ErrorCode.BACKEND_ERROR: "The model's worker failed",
    ErrorCode.MODEL_UNAVAILABLE: "The model cannot be loaded now",
    ErrorCode.BACKEND_TIMEOUT: "The request took longer than the model's limit",
}


def example_heading(prefix: str, model: str = "starter/chat") -> Heading:
    """As `new_heading`, but always the same."""
    return Heading(f"{prefix}-0123456789abcdef01234567", EXAMPLE_TIME, model)


def native_inference(
    renderer: Renderer, streaming: Renderer, items: Sequence[Item] = _DELTAS, usage: Usage = _USAGE
) -> Responses:
    """Two renderers, since each keeps the state of one answer; `items` and `usage` are what they render."""
    return {200: _answers(renderer, streaming, items, usage)} | _native_errors(_INFERENCE_ERRORS)


def openai_inference(
    renderer: Renderer, streaming: Renderer, items: Sequence[Item] = _DELTAS, usage: Usage = _USAGE
) -> Responses:
    """As `native_inference`."""
    return {200: _answers(renderer, streaming, items, usage)} | _openai_errors(_INFERENCE_ERRORS)


def image_answers(renderer: Renderer, *, openai: bool) -> Responses:
    """As the others; one renderer, since only the end of the stream depends on what came before."""
    errors = _openai_errors(_INFERENCE_ERRORS) if openai else _native_errors(_INFERENCE_ERRORS)
    return {200: _answers(renderer, renderer, _PICTURES)} | errors


def native_inference_errors() -> Responses:
    return _native_errors(_INFERENCE_ERRORS)


def openai_inference_errors() -> Responses:
    return _openai_errors(_INFERENCE_ERRORS)


def whole_answer(renderer: Renderer, items: Sequence[Item], usage: Usage) -> Responses:
    """Of a route that never streams."""
    example = json.loads(renderer.whole(items, usage))
    return {200: {"description": "The answer", "content": {"application/json": {"example": example}}}}


def native_listing() -> Responses:
    return _native_errors(_LISTING_ERRORS)


def openai_listing() -> Responses:
    return _openai_errors(_LISTING_ERRORS)


def _answers(
    renderer: Renderer, streaming: Renderer, items: Sequence[Item], usage: Usage = _USAGE
) -> dict[str, Any]:
    frames = streaming.items(items) + streaming.end(usage) + DONE_FRAME
    return {
        "description": "The answer, or with `stream: true` its events",
        "content": {
            "application/json": {"example": json.loads(renderer.whole(items, usage))},
            "text/event-stream": {"example": frames.decode()},
        },
    }


def _native_errors(told: Mapping[ErrorCode, str]) -> Responses:
    return {
        OUTWARD[error.code].status: _failure(told[error.code], error_body(error, REQUEST_ID))
        for error in _examples(told)
    }


def _openai_errors(told: Mapping[ErrorCode, str]) -> Responses:
    """A wrong body is 400 on this surface."""
    return {
        400 if error.code is ErrorCode.VALIDATION_ERROR else error.status: _failure(
            told[error.code], openai_error_body(error)
        )
        for error in _examples(told)
    }


def _examples(codes: Iterable[ErrorCode]) -> list[ServiceError]:
    wrong = (FieldProblem("messages.0.role", "must be one of system, developer, user, assistant, tool"),)
    return [
        ServiceError(
            code, "What happened, in words", details=wrong if code is ErrorCode.VALIDATION_ERROR else ()
        )
        for code in codes
    ]


def _failure(description: str, body: dict[str, object]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": body}}}
