"""The native inference routes over a fake gateway."""

from typing import Any

import httpx
import pytest

from engines.contract.chat import ChatRequest, GenerateRequest, Message
from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.errors import ServiceError
from tests.fakes.surface import REQUEST_ID, Surface

CHAT: dict[str, Any] = {"model": "a/one", "messages": [{"role": "user", "content": "hi"}]}
GENERATE: dict[str, Any] = {"model": "a/one", "prompt": "Once"}
BOTH = pytest.mark.parametrize(("path", "body"), [("chat", CHAT), ("generate", GENERATE)])


async def test_chat_answers_in_the_envelope(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/inference/chat", json=CHAT)

    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["meta"]) == ("ok", {"request_id": REQUEST_ID})
    assert body["data"]["id"].startswith("chatcmpl-")
    assert body["data"]["choices"][0]["message"]["content"] == "hi!"
    assert surface.gateway.asked == [("a/one", ChatRequest((Message("user", "hi"),)))]


async def test_generate_answers_in_the_envelope(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/inference/generate", json=GENERATE)

    data = answer.json()["data"]
    assert (data["object"], data["choices"][0]["text"]) == ("text_completion", "hi!")
    assert surface.gateway.asked == [("a/one", GenerateRequest(("Once",)))]


@BOTH
async def test_answer_names_model_and_backend(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(f"/v1/inference/{path}", json=body)

    assert answer.headers["x-scaigrid-model"] == "a/one"
    assert answer.headers["x-scaigrid-backend"] == "be_fake"


@BOTH
async def test_stream_is_an_event_stream_that_ends_with_done(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(f"/v1/inference/{path}", json=body | {"stream": True})

    frames = answer.text.split("\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(frames) == 5
    assert '"usage"' in frames[2]
    assert frames[3:] == ["data: [DONE]", ""]


@BOTH
async def test_failure_within_a_stream_is_an_event(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.gateway.batches[1:] = [ServiceError(ErrorCode.BACKEND_ERROR, "The worker died")]

    answer = await client.post(f"/v1/inference/{path}", json=body | {"stream": True})

    error = 'event: error\ndata: {"code":"BACKEND_ERROR","message":"The worker died"}'
    assert answer.status_code == 200
    assert answer.text.split("\n\n")[1:] == [error, "data: [DONE]", ""]


@BOTH
async def test_model_that_cannot_stream_sends_everything_at_once(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.gateway.can_stream = False

    answer = await client.post(f"/v1/inference/{path}", json=body | {"stream": True})

    frames = answer.text.split("\n\n")
    assert '"hi!"' in frames[0]
    assert len(frames) == 4


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_refusal_keeps_its_status_whether_streamed_or_not(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any], stream: bool
) -> None:
    surface.gateway.refusal = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "The queue is full")

    answer = await client.post(f"/v1/inference/{path}", json=body | {"stream": stream})

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "BACKEND_RATE_LIMITED"


@BOTH
async def test_wrong_body_is_refused_before_the_gateway(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(f"/v1/inference/{path}", json=body | {"temperature": "hot"})

    error = answer.json()["error"]
    assert answer.status_code == 422
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"] == [{"field": "temperature", "message": "must be a number"}]
    assert surface.gateway.asked == []


@BOTH
async def test_key_without_models_use_is_refused(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    answer = await client.post(f"/v1/inference/{path}", json=body)

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "AUTHZ_PERMISSION_DENIED"
    assert surface.gateway.asked == []
