"""The shapes of answers and failures, on both surfaces."""

from datetime import UTC, datetime

import msgspec
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from engines.contract.errors import EngineError, ErrorCode
from server.envelope import (
    Pagination,
    error_body,
    error_frame,
    error_response,
    install_handlers,
    is_openai_surface,
    openai_error_body,
    success,
    to_json,
)
from server.errors import ServiceError, invalid
from tests.fakes.edge import body_of, call, http_scope

BUSY = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "the queue is full", retry_after_s=7)


def test_success_carries_the_request_id() -> None:
    assert success({"a": 1}, "req_1") == {"status": "ok", "data": {"a": 1}, "meta": {"request_id": "req_1"}}


def test_pagination_is_a_sibling_of_data() -> None:
    page = Pagination(has_more=False, next_cursor=None)

    assert success({"items": []}, "req_1", page)["pagination"] == {"has_more": False, "next_cursor": None}


def test_native_error_names_code_details_and_retry() -> None:
    error = ServiceError(
        ErrorCode.RATE_LIMITED, "slow down", details=invalid("n", "is 9").details, retry_after_s=3
    )

    assert error_body(error, "req_1") == {
        "status": "error",
        "error": {
            "code": "RATE_LIMITED",
            "message": "slow down",
            "retry_after": 3,
            "details": [{"field": "n", "message": "is 9"}],
        },
        "meta": {"request_id": "req_1"},
    }


def test_openai_error_has_openai_shape() -> None:
    assert openai_error_body(invalid("messages", "required")) == {
        "error": {
            "message": "messages: required",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "VALIDATION_ERROR",
        }
    }


@pytest.mark.parametrize(
    ("openai", "data"),
    [
        (False, b'{"code":"BACKEND_ERROR","message":"gone"}'),
        (True, b'{"error":{"message":"gone","type":"server_error","param":null,"code":"BACKEND_ERROR"}}'),
    ],
)
def test_error_in_a_stream_is_a_named_event(openai: bool, data: bytes) -> None:
    frame = error_frame(ServiceError(ErrorCode.BACKEND_ERROR, "gone"), openai=openai)

    assert frame == b"event: error\ndata: " + data + b"\n\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/oai/v1/models", True),
        ("/oai/v1/chat/completions", True),
        ("/v1/chat/completions", True),
        ("/v1/completions", True),
        ("/v1/inference/chat", False),
        ("/v1/models", False),
        ("/health", False),
    ],
)
def test_surface_follows_the_path(path: str, expected: bool) -> None:
    assert is_openai_surface(path) is expected


@pytest.mark.parametrize(("path", "status"), [("/v1/inference/chat", 422), ("/oai/v1/completions", 400)])
def test_invalid_bodies_are_422_natively_and_400_for_openai_clients(path: str, status: int) -> None:
    assert error_response(http_scope(path), invalid("n", "is 9")).status_code == status


def test_retry_after_is_sent_as_header_too() -> None:
    assert error_response(http_scope("/v1/me"), BUSY).headers["retry-after"] == "7"
    assert error_response(http_scope("/oai/v1/models"), BUSY).headers["retry-after"] == "7"


def test_every_code_has_an_answer() -> None:
    for code in ErrorCode:
        response = error_response(http_scope("/v1/me"), ServiceError(code, "text"))

        assert 400 <= response.status_code < 600
        assert (response.status_code not in (429, 503)) or "retry-after" in response.headers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"text": "ok"}, b'{"text":"ok"}'),
        ({"text": "a\ud83dz"}, '{"text":"a\ufffdz"}'.encode()),
        ({"text": "\ud83d\ude00"}, '{"text":"\U0001f600"}'.encode()),
        ({"\udc00": ["\udfff", 1.5, float("nan")]}, '{"\ufffd":["\ufffd",1.5,null]}'.encode()),
        ({"big": 2**70}, b'{"big":1180591620717411303424}'),
        ({"logprob": float("-inf")}, b'{"logprob":null}'),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, b'{"at":"2026-01-02T00:00:00Z"}'),
    ],
)  # fmt: skip
def test_json_renders_whatever_a_model_says(value: object, expected: bytes) -> None:
    assert to_json(value) == expected


def test_json_renders_structs_also_around_a_surrogate() -> None:
    class Said(msgspec.Struct):
        text: str

    assert to_json({"said": Said("a")}) == b'{"said":{"text":"a"}}'
    assert to_json({"said": Said("\ud800")}) == '{"said":{"text":"\ufffd"}}'.encode()


class Body(BaseModel):
    model: str
    n: int = Field(1, le=8)


def make_app() -> FastAPI:
    app = FastAPI()
    install_handlers(app)
    router = APIRouter()

    @router.post("/v1/inference/chat")
    @router.post("/oai/v1/chat/completions")
    async def chat(body: Body) -> None:
        if body.model == "engine":
            raise EngineError(ErrorCode.VALIDATION_ERROR, "is too long", field="messages")
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "no such model")

    app.include_router(router)
    return app


JSON = [("Content-Type", "application/json")]


@pytest.mark.parametrize(
    ("path", "method", "body", "status", "code"),
    [
        ("/v1/inference/chat", "POST", b'{"model": "x"}', 404, "MODEL_NOT_FOUND"),
        ("/v1/inference/chat", "POST", b'{"model": "engine"}', 422, "VALIDATION_ERROR"),
        ("/v1/inference/chat", "POST", b'{"model": "x", "n": 9}', 422, "VALIDATION_ERROR"),
        ("/v1/inference/chat", "POST", b'{"model": ', 422, "VALIDATION_ERROR"),
        ("/v1/inference/chat", "POST", b"\xff\xfe", 422, "VALIDATION_ERROR"),
        ("/oai/v1/chat/completions", "POST", b'{"model": "x", "n": 9}', 400, "VALIDATION_ERROR"),
        ("/oai/v1/chat/completions", "GET", b"", 405, "METHOD_NOT_ALLOWED"),
        ("/v1/nothing", "GET", b"", 404, "NOT_FOUND"),
        ("/oai/v1/nothing", "GET", b"", 404, "NOT_FOUND"),
    ],
)
async def test_failures_of_routes_take_their_surface_s_shape(
    path: str, method: str, body: bytes, status: int, code: str
) -> None:
    answer = await call(make_app(), path, method=method, headers=JSON, receive=body_of(body))

    found = answer.json()
    assert answer.status == status
    assert found["error"]["code"] == code
    assert ("type" in found["error"]) == path.startswith("/oai/")


async def test_validation_details_give_the_path_of_each_field() -> None:
    answer = await call(
        make_app(), "/v1/inference/chat", method="POST", headers=JSON, receive=body_of(b'{"n": "x"}')
    )

    assert [problem["field"] for problem in answer.json()["error"]["details"]] == ["model", "n"]


async def test_method_not_allowed_names_the_methods() -> None:
    answer = await call(make_app(), "/v1/inference/chat", method="GET")

    assert answer.headers["allow"] == "POST"
