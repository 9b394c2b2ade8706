"""What holds when things die, leave or end: crash, disconnect, drain, orphans. Real processes, the fake engine."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.e2e.conftest import RunningServer, StartServer

SLOW = "{token_delay_s: 0.05}"
LONG_PROMPT = " ".join(f"word{number}" for number in range(200))


def chat_body(model: str, *, stream: bool, prompt: str = LONG_PROMPT) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": prompt}]}


def process_group(leader: int) -> list[int]:
    """Pids of all living processes in a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return found


def wait_for(what: str, is_so: Callable[[], bool], timeout_s: float = 10.0) -> float:
    """Poll until true; the seconds it took."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < timeout_s, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.01)
    return time.monotonic() - started


async def read_stream(client: httpx.AsyncClient, path: str, body: dict[str, object]) -> list[str]:
    """The lines of one event stream, to its end."""
    async with client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200, await answer.aread()
        return [line async for line in answer.aiter_lines() if line]


def async_client(server: RunningServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=server.url,
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=60,
        trust_env=False,
        limits=httpx.Limits(max_connections=200),
    )


async def test_kill_of_a_worker_fails_its_streams_in_band_and_no_others(start_fake: StartServer) -> None:
    """32 streams of the killed worker end with the error frame and [DONE]; another model's stream goes on."""
    server = start_fake({"victim": SLOW, "other": SLOW})
    async with async_client(server) as client:
        for name in ("victim", "other"):
            warm = chat_body(f"fake/{name}", stream=False, prompt="hi")
            (await client.post("/v1/inference/chat", json=warm)).raise_for_status()
        victims = [
            asyncio.create_task(
                read_stream(client, "/v1/inference/chat", chat_body("fake/victim", stream=True))
            )
            for _ in range(32)
        ]
        other = asyncio.create_task(
            read_stream(
                client, "/v1/inference/chat", chat_body("fake/other", stream=True) | {"max_tokens": 60}
            )
        )
        await asyncio.sleep(1.0)

        os.kill(int(str(server.backend("be_victim")["pid"])), signal.SIGKILL)
        killed_at = time.monotonic()
        endings = await asyncio.gather(*victims)
        ended_after_s = time.monotonic() - killed_at
        again = await client.post(
            "/v1/inference/chat", json=chat_body("fake/victim", stream=False, prompt="hi")
        )
        other_lines = await other

    for lines in endings:
        assert lines[-3] == "event: error"
        assert json.loads(lines[-2].removeprefix("data: "))["code"] == "BACKEND_ERROR"
        assert lines[-1] == "data: [DONE]"
    assert ended_after_s < 1.0
    assert again.status_code == 200
    assert not any(line.startswith("event: error") for line in other_lines)


def test_a_client_that_leaves_frees_its_place_at_once(start_fake: StartServer) -> None:
    """Streaming or not, the request is gone from the worker within 250 ms."""
    server = start_fake({"echo": SLOW})
    with server.client() as client:
        client.post(
            "/v1/inference/chat", json=chat_body("fake/echo", stream=False, prompt="hi")
        ).raise_for_status()
    for stream in (True, False):
        body = json.dumps(chat_body("fake/echo", stream=stream)).encode()
        head = (
            f"POST /v1/inference/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            wait_for("the request to run", lambda: server.backend("be_echo")["in_flight"] == 1)

        took_s = wait_for("the lease to end", lambda: server.backend("be_echo")["in_flight"] == 0)

        assert took_s < 0.25


def test_sigterm_lets_running_requests_end_and_exits_zero(start_fake: StartServer) -> None:
    """Readiness turns 503 at once, the stream ends normally, the exit status is 0, no worker is left."""
    server = start_fake({"echo": "{token_delay_s: 0.02}"}, drain_grace_s="1")
    with (
        server.client() as client,
        client.stream("POST", "/v1/inference/chat", json=chat_body("fake/echo", stream=True)) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        worker = int(str(server.backend("be_echo")["pid"]))

        server.process.send_signal(signal.SIGTERM)
        ready = wait_for(
            "readiness to turn",
            lambda: httpx.get(f"{server.url}/health/ready", trust_env=False).status_code == 503,
        )
        rest = [line for line in lines if line]

    assert ready < 1.0
    assert rest[-1] == "data: [DONE]"
    assert not any(line.startswith("event: error") for line in rest)
    assert server.process.wait(timeout=20) == 0
    assert process_group(worker) == []


def test_sigterm_cuts_in_band_what_outlives_the_drain(start_fake: StartServer) -> None:
    server = start_fake({"echo": "{token_delay_s: 0.5}"}, drain_grace_s="0", drain_timeout_s="1")
    with (
        server.client() as client,
        client.stream("POST", "/v1/inference/chat", json=chat_body("fake/echo", stream=True)) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)

        server.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]

    assert rest[-3] == "event: error"
    assert json.loads(rest[-2].removeprefix("data: "))["code"] == "SHUTTING_DOWN"
    assert rest[-1] == "data: [DONE]"
    assert server.process.wait(timeout=20) == 0


def test_no_worker_survives_a_killed_server(start_fake: StartServer) -> None:
    """kill -9 of the server: all its workers are gone within 5 s."""
    server = start_fake({"echo": "{}"})
    with server.client() as client:
        client.post(
            "/v1/inference/chat", json=chat_body("fake/echo", stream=False, prompt="hi")
        ).raise_for_status()
    worker = int(str(server.backend("be_echo")["pid"]))

    server.process.kill()
    server.process.wait()

    wait_for("the worker's end", lambda: not process_group(worker), timeout_s=5)


async def test_many_first_requests_start_one_worker(start_fake: StartServer) -> None:
    """Requests that arrive while the model loads wait for the same load, and its state can be watched meanwhile."""
    server = start_fake({"echo": "{load_delay_s: 1.0}"})
    async with async_client(server) as client:
        requests = [
            asyncio.create_task(
                client.post("/v1/inference/chat", json=chat_body("fake/echo", stream=False, prompt="hi"))
            )
            for _ in range(20)
        ]
        seen = set()
        while not all(request.done() for request in requests):
            seen.add(server.backend("be_echo")["state"])
            await asyncio.sleep(0.05)
        answers = [request.result() for request in requests]

    assert {answer.status_code for answer in answers} == {200}
    assert seen & {"starting", "loading", "warming"}
    log = (server.data_dir / "logs" / "be_echo.log").read_text()
    assert log.count("engine.loading") == 1
