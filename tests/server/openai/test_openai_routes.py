"""The OpenAI routes over a fake gateway."""

from typing import Any

import httpx
import pytest

from engines.contract.chat import ChatRequest, GenerateRequest, Message, Sampling
from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.errors import ServiceError
from tests.fakes.surface import Surface

CHAT: dict[str, Any] = {"model": "a/one", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION: dict[str, Any] = {"model": "a/one", "prompt": "Once"}
ALL = pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/oai/v1/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT),
        ("/oai/v1/completions", COMPLETION),
        ("/v1/completions", COMPLETION),
    ],
)


@pytest.mark.parametrize("path", ["/oai/v1/chat/completions", "/v1/chat/completions"])
async def test_chat_has_no_envelope(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    body = (await client.post(path, json=CHAT)).json()

    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi!", "refusal": None}
    assert surface.gateway.asked == [("a/one", ChatRequest((Message("user", "hi"),)))]


@pytest.mark.parametrize("path", ["/oai/v1/completions", "/v1/completions"])
async def test_completion_has_no_envelope(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    body = (await client.post(path, json=COMPLETION)).json()

    assert (body["object"], body["choices"][0]["text"]) == ("text_completion", "hi!")
    assert surface.gateway.asked == [("a/one", GenerateRequest(("Once",), Sampling(max_tokens=16)))]


@ALL
@pytest.mark.parametrize("asks_for_usage", [False, True])
async def test_usage_is_streamed_only_when_asked_for(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], asks_for_usage: bool
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": asks_for_usage}}

    text = (await client.post(path, json=body | options)).text

    assert ('"choices":[],"usage":{' in text) is asks_for_usage
    assert text.endswith("data: [DONE]\n\n")


@ALL
async def test_wrong_body_is_400_in_openais_shape(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(path, json=body | {"n": 99})

    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "message": "n: must be at most 8",
            "type": "invalid_request_error",
            "param": "n",
            "code": "VALIDATION_ERROR",
        }
    }
    assert surface.gateway.asked == []


@ALL
async def test_failure_within_a_stream_is_an_error_object(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.gateway.batches[1:] = [ServiceError(ErrorCode.BACKEND_ERROR, "The worker died")]

    frames = (await client.post(path, json=body | {"stream": True})).text.split("\n\n")

    assert frames[1].startswith('event: error\ndata: {"error":{"message":"The worker died"')
    assert frames[2:] == ["data: [DONE]", ""]


@ALL
async def test_key_without_models_use_is_refused(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    answer = await client.post(path, json=body)

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")


async def test_models_with_their_limits(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.models = frozenset({"a/one", "b/one"})

    body = (await client.get("/oai/v1/models")).json()

    assert body["object"] == "list"
    assert body["data"] == [
        {
            "id": "a/one",
            "object": "model",
            "created": 0,
            "owned_by": "a",
            "context_window": 256,
            "max_output_tokens": 64,
        },
        {
            "id": "b/one",
            "object": "model",
            "created": 0,
            "owned_by": "b",
            "context_window": 256,
            "max_output_tokens": 256,
        },
    ]


@pytest.mark.parametrize("path", ["a/one", "a%2Fone"])
async def test_one_model(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/oai/v1/models/{path}")).json()["id"] == "a/one"


async def test_unknown_model_in_openais_shape(client: httpx.AsyncClient) -> None:
    answer = await client.get("/oai/v1/models/none")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MODEL_NOT_FOUND")


@pytest.mark.parametrize("path", ["/oai/v1/models", "/oai/v1/models/a/one"])
async def test_listing_needs_models_list(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    surface.permissions = frozenset({Permission.MODELS_USE})

    assert (await client.get(path)).status_code == 403
