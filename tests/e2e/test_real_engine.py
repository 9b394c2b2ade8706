"""The machinery around a real vLLM: batching, cancelling, crashing, hostile schemas. The shipped model."""

import asyncio
import json
import os
import signal
import time

import httpx
import pytest

from tests.e2e.conftest import RunningServer
from tests.e2e.test_machinery import async_client, read_stream, wait_for

pytestmark = pytest.mark.vllm
CHAT = "/v1/inference/chat"
MODEL = "starter/chat"


def long_chat(tokens: int, *, stream: bool, word: str = "hello") -> dict[str, object]:
    """A request that makes exactly `tokens` tokens."""
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"Say {word}"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": stream,
    }


def in_flight(server: RunningServer) -> int:
    return int(str(server.backend("be_starter_chat")["in_flight"]))


async def stream_span(client: httpx.AsyncClient, body: dict[str, object]) -> tuple[float, float]:
    """When the first and the last event of one stream came."""
    times: list[float] = []
    async with client.stream("POST", CHAT, json=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                times.append(time.monotonic())
    return times[0], times[-1]


async def test_concurrent_streams_share_the_engine(server: RunningServer) -> None:
    """Continuous batching: of 64 streams, most are in the middle of their answers at the same moment."""
    async with async_client(server) as client:
        (await client.post(CHAT, json=long_chat(2, stream=False))).raise_for_status()

        bodies = [long_chat(64, stream=True, word=f"many {number}") for number in range(64)]
        spans = await asyncio.gather(*(stream_span(client, body) for body in bodies))

    most_at_once = max(sum(begin <= moment <= end for begin, end in spans) for moment, _ in spans)
    assert most_at_once >= 32


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_aborts_the_request_in_vllm(server: RunningServer, stream: bool) -> None:
    """Both the lease and vLLM's own running request are gone soon after."""
    async with async_client(server) as client:
        (await client.post(CHAT, json=long_chat(2, stream=False))).raise_for_status()
        call = asyncio.create_task(client.post(CHAT, json=long_chat(1500, stream=stream)))
        await asyncio.to_thread(wait_for, "the request to run", lambda: in_flight(server) == 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        left_s = await asyncio.to_thread(wait_for, "the lease to end", lambda: in_flight(server) == 0)
        started = time.monotonic()
        (await client.post(CHAT, json=long_chat(2, stream=False))).raise_for_status()
        next_s = time.monotonic() - started

    assert left_s < 0.25
    assert next_s < 5.0


async def test_kill_of_the_worker_in_the_middle_of_32_streams(server: RunningServer) -> None:
    """Each ends with the error frame and [DONE] within a second; the next request is answered by a new worker."""
    async with async_client(server) as client:
        (await client.post(CHAT, json=long_chat(2, stream=False))).raise_for_status()
        streams = [
            asyncio.create_task(read_stream(client, CHAT, long_chat(1500, stream=True, word=f"{number}")))
            for number in range(32)
        ]
        await asyncio.sleep(1.0)

        os.kill(int(str(server.backend("be_starter_chat")["pid"])), signal.SIGKILL)
        killed_at = time.monotonic()
        endings = await asyncio.gather(*streams)
        ended_s = time.monotonic() - killed_at
        client.timeout = httpx.Timeout(300)
        after = await client.post(CHAT, json=long_chat(2, stream=False))

    for lines in endings:
        assert lines[-3] == "event: error"
        assert json.loads(lines[-2].removeprefix("data: "))["code"] == "BACKEND_ERROR"
        assert lines[-1] == "data: [DONE]"
    assert ended_s < 1.0
    assert after.status_code == 200


def nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for level in range(depth):
        schema = {"type": "object", "properties": {f"a{level}": schema}, "required": [f"a{level}"]}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10_000, "maxLength": 1_000_000},
        {"type": "array", "items": {"type": "string"}, "minItems": 100_000},
        {"type": "string", "pattern": "^((a{1,100}){1,100}){1,100}$"},
        {"type": "string", "pattern": r"^\p{L}+$"},
        {"type": "string", "pattern": "(" * 1000},
        {"$ref": "#"},
        {"$ref": "http://127.0.0.1/schema"},
        {"type": "no such type"},
        nested(14),
    ],
)
def test_a_hostile_schema_harms_nobody(server: RunningServer, schema: dict[str, object]) -> None:
    """It is served or refused by name; the next request is answered by the same worker."""
    body = long_chat(4, stream=False) | {
        "response_format": {"type": "json_schema", "json_schema": {"name": "hostile", "schema": schema}}
    }
    with server.client() as client:
        client.post(CHAT, json=long_chat(2, stream=False)).raise_for_status()
        pid = server.backend("be_starter_chat")["pid"]
        answer = client.post(CHAT, json=body)
        after = client.post(CHAT, json=long_chat(2, stream=False))

    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.json()["error"]["details"][0]["field"].startswith("response_format")
    assert after.status_code == 200
    assert server.backend("be_starter_chat")["pid"] == pid
