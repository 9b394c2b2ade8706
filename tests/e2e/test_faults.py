"""How each fault ends, as docs/operations.md says: real processes, the fake engine, short timeouts."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import RunningServer, StartServer, running_fake
from tests.e2e.test_machinery import (
    SLOW,
    async_client,
    chat_body,
    process_group,
    read_stream,
    wait_for,
)

CHAT = "/v1/inference/chat"
BACKENDS = {
    "well": "{}",
    "deaf": "{hang_at: 0}",
    "killed": "{}",
    "looping": "{die_on_load: true}",
    "idle": "{}",
    "bystander": SLOW,
    "streaming": SLOW,
    "loading": "{load_delay_s: 2}",
    "greedy": SLOW,
    "broken": "{}",
    "lying": "{ballast_mib: 300, estimate_mib: 1, told_device_mib: 1}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One backend a fault."""
    hasty = {"heartbeat_timeout_s": "3", "load_heartbeat_timeout_s": "3", "max_restarts": "2"}
    with running_fake(tmp_path_factory.mktemp("faults"), BACKENDS, **hasty) as running:
        yield running


def ask(server: RunningServer, name: str, prompt: str = "hi", key: str | None = None) -> httpx.Response:
    with server.client(key) as client:
        return client.post(CHAT, json=chat_body(f"fake/{name}", stream=False, prompt=prompt))


def health(server: RunningServer, name: str, query: str = "") -> httpx.Response:
    with server.client() as client:
        return client.get(f"/v1/backends/be_{name}/health{query}")


def pid_of(server: RunningServer, name: str) -> int:
    return int(str(server.backend(f"be_{name}")["pid"]))


def state_of(server: RunningServer, name: str) -> object:
    return server.backend(f"be_{name}")["state"]


def last_reason(server: RunningServer, name: str) -> object:
    return health(server, name).json()["data"]["crashes"]["last_reason"]


def load(server: RunningServer, name: str) -> None:
    with server.client() as client:
        client.post(f"/v1/backends/be_{name}/load").raise_for_status()


def held_bytes(server: RunningServer, name: str) -> int:
    """Of the host's memory, as measured; 0 before that."""
    with server.client() as client:
        devices = client.get("/v1/devices").raise_for_status().json()["data"]["items"]
    held = [one for device in devices if device["device"] == "cpu" for one in device["holdings"]]
    return sum(one["size_bytes"] for one in held if one["backend_id"] == f"be_{name}" and one["is_measured"])


def failure(lines: list[str]) -> dict[str, object]:
    """The error that a stream ended with, in its own frame."""
    assert (lines[-3], lines[-1]) == ("event: error", "data: [DONE]")
    found: dict[str, object] = json.loads(lines[-2].removeprefix("data: "))
    return found


def test_health_is_a_real_answer(server: RunningServer) -> None:
    """Before the first load a probe starts nothing; afterwards the last answer and the probe's are told."""

    before = health(server, "well", "?probe=true")
    assert ask(server, "well").status_code == 200
    after = health(server, "well", "?probe=true&timeout_s=5")

    assert (before.status_code, before.json()["data"]["probe"]["outcome"]) == (503, "not_ready")
    assert before.json()["data"]["state"] == "stopped"
    data = after.json()["data"]
    assert (after.status_code, data["probe"]["outcome"], data["last_answer"]["source"]) == (
        200,
        "answered",
        "request",
    )
    assert data["last_answer"]["age_s"] < 5
    assert data["worker"]["heartbeat_age_s"] < 5
    assert data["crashes"]["deaths"] == 0


def test_model_that_answers_nothing_is_not_well_though_its_worker_says_so(server: RunningServer) -> None:
    load(server, "deaf")
    wait_for("the load", lambda: state_of(server, "deaf") == "ready")

    answer = health(server, "deaf", "?probe=true&timeout_s=0.5")

    assert (answer.status_code, answer.json()["data"]["probe"]["outcome"]) == (503, "timed_out")
    assert answer.json()["error"]["message"] == "be_deaf did not answer within 0.5 s"


def test_killed_worker_comes_back_and_its_death_is_told(server: RunningServer) -> None:
    ask(server, "killed").raise_for_status()
    pid = pid_of(server, "killed")

    os.kill(pid, signal.SIGKILL)
    wait_for("the restart", lambda: server.backend("be_killed")["restarts"] == 1)

    assert ask(server, "killed").status_code == 200
    crashes = health(server, "killed").json()["data"]["crashes"]
    assert (crashes["deaths"], crashes["last_reason"], crashes["is_given_up"]) == (
        1,
        "ended by SIGKILL",
        False,
    )
    assert process_group(pid) == []


def test_crash_loop_ends_in_a_refusal_that_says_why(server: RunningServer) -> None:
    """Everybody reads how it died; the time of the next attempt is in the answer."""
    client_key = server.make_key(["models:use"])

    answers = [ask(server, "looping", key=client_key) for _ in range(2)]
    as_operator = ask(server, "looping")

    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "MODEL_UNAVAILABLE")
        assert error["message"].endswith("s: ended with exit status 9")
        assert 590 < error["retry_after"] <= 600
        assert "details" not in error
    assert as_operator.json()["error"]["details"] == [
        {"field": "model", "message": "ended with exit status 9"}
    ]
    found = health(server, "looping")
    crashes = found.json()["data"]["crashes"]
    assert (found.status_code, crashes["deaths"], crashes["max_deaths"]) == (503, 2, 2)
    assert (crashes["is_given_up"], 580 < crashes["retry_in_s"] <= 600) == (True, True)
    assert server.backend("be_looping")["last_error"] == "ended with exit status 9"


def test_stopped_idle_worker_is_killed_and_the_next_request_is_answered(server: RunningServer) -> None:
    ask(server, "idle").raise_for_status()
    ask(server, "bystander").raise_for_status()
    pid, other = pid_of(server, "idle"), pid_of(server, "bystander")

    os.kill(pid, signal.SIGSTOP)
    took_s = wait_for("the kill", lambda: process_group(pid) == [])

    assert took_s < 8
    assert ask(server, "idle").status_code == 200
    assert last_reason(server, "idle") == "no sign of life for 3 s"
    assert pid_of(server, "bystander") == other


async def test_stopped_worker_fails_its_streams_in_band_and_no_others(server: RunningServer) -> None:
    ask(server, "streaming").raise_for_status()
    ask(server, "bystander").raise_for_status()
    async with async_client(server) as client:
        victims = [
            asyncio.create_task(read_stream(client, CHAT, chat_body("fake/streaming", stream=True)))
            for _ in range(8)
        ]
        body = chat_body("fake/bystander", stream=True) | {"max_tokens": 150}
        other = asyncio.create_task(read_stream(client, CHAT, body))
        await asyncio.to_thread(
            wait_for, "the streams", lambda: server.backend("be_streaming")["in_flight"] == 8
        )

        os.kill(pid_of(server, "streaming"), signal.SIGSTOP)
        endings = await asyncio.gather(*victims)
        other_lines = await other

    assert {failure(lines)["code"] for lines in endings} == {"BACKEND_ERROR"}
    assert not any(line.startswith("event: error") for line in other_lines)
    assert ask(server, "streaming").status_code == 200


def test_worker_that_is_stopped_while_it_loads_is_started_again(server: RunningServer) -> None:
    """Long before `load_timeout_s`. The request that asked for the load waits through the restart."""
    load(server, "loading")
    wait_for("the load", lambda: state_of(server, "loading") == "loading")
    pid = pid_of(server, "loading")

    os.kill(pid, signal.SIGSTOP)
    answer = ask(server, "loading")

    assert answer.status_code == 200
    assert pid_of(server, "loading") != pid
    assert last_reason(server, "loading") == "no sign of life for 3 s"


def test_load_that_hangs_ends_at_its_limit_and_lets_others_load(start_fake: StartServer) -> None:
    """It speaks all the while, so that only `load_timeout_s` ends it; the other model's load waits its turn."""
    server = start_fake(
        {"hanging": "{load_delay_s: 1000}", "other": "{}"}, load_timeout_s=3, max_restarts="1"
    )
    load(server, "hanging")
    wait_for("the load", lambda: state_of(server, "hanging") == "loading")

    started = time.monotonic()
    load(server, "other")
    wait_for("the refusal", lambda: state_of(server, "hanging") == "failed")
    wait_for("the other's load", lambda: state_of(server, "other") == "ready")

    assert time.monotonic() - started < 10
    assert ask(server, "other").status_code == 200
    refused = ask(server, "hanging")
    assert refused.status_code == 503
    assert refused.json()["error"]["message"].endswith("s: not ready within 3 s")


async def test_request_without_memory_fails_alone(server: RunningServer) -> None:
    ask(server, "greedy").raise_for_status()
    pid = pid_of(server, "greedy")
    async with async_client(server) as client:
        body = chat_body("fake/greedy", stream=True) | {"max_tokens": 20}
        others = [asyncio.create_task(read_stream(client, CHAT, body)) for _ in range(4)]

        large = await read_stream(client, CHAT, chat_body("fake/greedy", stream=True, prompt="a b !oom:1 c"))
        endings = await asyncio.gather(*others)

    assert failure(large) == {
        "code": "BACKEND_ERROR",
        "message": "the device has too little memory for this request",
    }
    assert not any(line.startswith("event: error") for lines in endings for line in lines)
    assert (pid_of(server, "greedy"), server.backend("be_greedy")["restarts"]) == (pid, 0)


def test_failed_device_restarts_the_worker_and_is_named(server: RunningServer) -> None:
    ask(server, "broken").raise_for_status()
    pid = pid_of(server, "broken")

    failed = ask(server, "broken", "!device")
    wait_for("the restart", lambda: server.backend("be_broken")["restarts"] == 1)

    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "BACKEND_ERROR")
    assert ask(server, "broken").status_code == 200
    assert pid_of(server, "broken") != pid
    assert last_reason(server, "broken") == "the device failed: illegal memory access"


def test_ledger_follows_what_the_system_says_of_a_worker_that_lies(server: RunningServer) -> None:
    """It told of 1 MiB, and took 300: what others may have is what is really left."""

    ask(server, "lying").raise_for_status()
    wait_for("the measurement", lambda: held_bytes(server, "lying") > 300 * 1024**2)
    ask(server, "lying", "!grow:200").raise_for_status()

    wait_for("the growth", lambda: held_bytes(server, "lying") > 500 * 1024**2)


def test_nothing_is_left_over(start_fake: StartServer) -> None:
    """A worker that was stopped by a signal cannot end by itself: its group is killed with the server."""
    server = start_fake({"echo": "{}"}, heartbeat_timeout_s="60", drain_grace_s="0")
    ask(server, "echo").raise_for_status()
    pid = pid_of(server, "echo")
    os.kill(pid, signal.SIGSTOP)

    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=60)

    wait_for("the end of the group", lambda: process_group(pid) == [])


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A machine of 1 GiB, of which a load is granted 600 MiB; what a fake engine then holds is some 40."""
    backends = {"steady": "{}", "resting": "{}", "working": SLOW, "bursting": SLOW}
    budget = {"ram_budget_bytes": str(1024**3)}
    with running_fake(tmp_path_factory.mktemp("narrow"), backends, **budget) as running:
        yield running


def test_idle_worker_that_outgrew_the_device_is_stopped_and_no_other(narrow: RunningServer) -> None:
    ask(narrow, "steady").raise_for_status()
    wait_for("the measurement", lambda: 0 < held_bytes(narrow, "steady") < 500 * 1024**2)
    ask(narrow, "resting").raise_for_status()
    pid = pid_of(narrow, "steady")

    ask(narrow, "resting", "!grow:1100").raise_for_status()
    wait_for("its stop", lambda: state_of(narrow, "resting") == "stopped")

    assert narrow.backend("be_resting")["evictions"] == {"pressure": 1}
    assert pid_of(narrow, "steady") == pid
    assert ask(narrow, "resting").status_code == 200


def test_busy_worker_that_outgrew_the_device_is_told_and_ends_its_request_first(
    narrow: RunningServer,
) -> None:
    ask(narrow, "working").raise_for_status()
    body = chat_body("fake/working", stream=True, prompt="!grow:1100 " + "word " * 100)
    with narrow.client() as client, client.stream("POST", CHAT, json=body) as answer:
        lines = answer.iter_lines()
        next(lines)

        wait_for("the warning", lambda: "restarts when idle" in str(narrow.backend("be_working")["detail"]))
        rest = [line for line in lines if line]

    assert not any(line.startswith("event: error") for line in rest)
    wait_for("its stop", lambda: state_of(narrow, "working") == "stopped")
    assert narrow.backend("be_working")["evictions"] == {"pressure": 1}


def test_worker_far_beyond_the_device_is_killed(narrow: RunningServer) -> None:
    ask(narrow, "bursting").raise_for_status()
    body = chat_body("fake/bursting", stream=True, prompt="!grow:1500 " + "word " * 400)
    with narrow.client() as client, client.stream("POST", CHAT, json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]

    assert failure(lines)["code"] == "BACKEND_ERROR"
    wait_for("its end", lambda: "was granted 0.59 GiB" in str(last_reason(narrow, "bursting")))
    assert ask(narrow, "bursting").status_code == 200
