"""The native dialect on the wire, field by field, against a running server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import RunningServer

pytestmark = pytest.mark.vllm
CHAT = "/v1/inference/chat"
GENERATE = "/v1/inference/generate"
MODEL = "starter/chat"


def ask(question: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0} | fields


def frames(text: str) -> list[dict[str, Any]]:
    """The JSON of all frames of a stream that ended well."""
    *parts, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts if not part.startswith(":")]


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_answer_in_the_envelope(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=ask("What is the capital of France?"))

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"status", "data", "meta"}
    assert set(body["data"]) == {"id", "object", "created", "model", "choices", "usage"}
    assert (body["data"]["object"], body["data"]["model"]) == ("chat.completion", MODEL)
    choice = body["data"]["choices"][0]
    assert set(choice) == {"index", "message", "finish_reason"}
    assert choice["message"]["role"] == "assistant"
    assert "Paris" in choice["message"]["content"]
    assert choice["message"]["tool_calls"] is None


def test_headers_name_request_model_and_backend(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=ask("hello"), headers={"X-Request-ID": "my-trace.1"})

    assert answer.headers["x-scaigrid-request-id"] == "my-trace.1"
    assert answer.json()["meta"] == {"request_id": "my-trace.1"}
    assert answer.headers["x-scaigrid-model"] == MODEL
    assert answer.headers["x-scaigrid-backend"].startswith("be_")


def test_stream_wire_for_wire(client: httpx.Client) -> None:
    whole = client.post(CHAT, json=ask("Count from 1 to 20")).json()["data"]

    answer = client.post(CHAT, json=ask("Count from 1 to 20", stream=True))

    chunks = frames(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-scaigrid-model"] == MODEL
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    first, *_, last = [chunk["choices"][0] for chunk in chunks]
    assert first["delta"]["role"] == "assistant"
    assert first["delta"]["content"]
    assert last["delta"] == {}
    assert last["finish_reason"] == whole["choices"][0]["finish_reason"]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_stream_of_several_choices(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=ask("Count from 1 to 20", n=2, seed=1, max_tokens=4, stream=True))

    chunks = frames(answer.text)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["index"] for choice in choices if "role" in choice["delta"]] in ([0, 1], [1, 0])
    assert sorted(choice["index"] for choice in choices if choice["finish_reason"] == "length") == [0, 1]
    assert [index for index, chunk in enumerate(chunks) if "usage" in chunk] == [len(chunks) - 1]


def test_output_limit_of_the_model_caps_silently(client: httpx.Client) -> None:
    body = ask("hello", max_tokens=2**31 - 1)

    assert client.post(CHAT, json=body).status_code == 200


def test_generate_answers_a_text_completion(client: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": "hello", "max_tokens": 3, "temperature": 0, "stop": ["zzz"], "seed": 1}

    data = client.post(GENERATE, json=body).json()["data"]
    chunks = frames(client.post(GENERATE, json=body | {"stream": True}).text)

    assert data["object"] == "text_completion"
    assert set(data["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == data["choices"][0]["text"]
    assert chunks[-1]["usage"] == data["usage"]


def test_model_listing_and_card(client: httpx.Client) -> None:
    listing = client.get("/v1/models", params={"modality": "chat", "limit": 1}).json()
    raw = client.get(f"/v1/models/{MODEL}").json()["data"]
    encoded = client.get("/v1/models/starter%2Fchat").json()["data"]

    assert listing["pagination"]["has_more"] in (True, False)
    assert listing["data"]["items"][0]["slug"]
    assert raw["slug"] == encoded["slug"] == MODEL
    assert raw["state"] == "ready"
    assert raw["health_status"] == "healthy"
    assert raw["memory_bytes"] > 0


def test_openai_chat_is_aliased_beside_the_native_surface(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json=ask("What is the capital of France?"))

    assert answer.json()["object"] == "chat.completion"
    assert "status" not in answer.json()


def test_reasoning_comes_apart_from_the_answer(client: httpx.Client) -> None:
    """Only when asked for; streamed and unstreamed alike; counted in the usage."""
    body = ask("What is 12 + 7?", thinking=True)

    whole = client.post(CHAT, json=body).json()["data"]
    chunks = frames(client.post(CHAT, json=body | {"stream": True}).text)
    without = client.post(CHAT, json=body | {"thinking": False}).json()["data"]

    message = whole["choices"][0]["message"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert message["reasoning_content"].strip()
    assert "19" in message["content"]
    assert "<think>" not in message["reasoning_content"] + message["content"]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert "19" in without["choices"][0]["message"]["content"]
    assert "reasoning_content" not in without["choices"][0]["message"]
