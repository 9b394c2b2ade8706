"""One model with two replicas on a real server with fake engines: shared work, deaths, batches, listings."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import RunningServer, running_fake
from tests.e2e.test_batches import chat_line, has_ended, jsonl, lines_of, submit, until

BACKEND = """\
engine: tests.fakes.fake_engine
modality: chat
frontends: [fake/echo]
weights: weights
licence: none
context_window: 4096
capabilities: {{tools: false}}
limits: {{max_concurrency: 4, max_queue: 100}}
replicas: 2
preload: {preload}
options: {{token_delay_s: 0.02}}
"""
IDS = ("be_echo_1", "be_echo_2")
SERVED_BY = "x-scaigrid-backend"


@contextmanager
def running_twins(folder: Path, *, preload: bool = True) -> Iterator[RunningServer]:
    (folder / "models").mkdir()
    (folder / "models/echo.yaml").write_text(BACKEND.format(preload=json.dumps(preload)))
    with running_fake(folder, {}) as server:
        if preload:
            wait_until(lambda: [server.backend(name)["state"] for name in IDS] == ["ready", "ready"])
        yield server


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(client: httpx.Client, text: str) -> httpx.Response:
    body = {"model": "fake/echo", "messages": [{"role": "user", "content": text}]}
    return client.post("/v1/inference/chat", json=body)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_twins(tmp_path_factory.mktemp("replicas")) as server:
        yield server


def test_both_replicas_serve_and_equal_beginnings_go_to_the_same_one(twins: RunningServer) -> None:
    texts = [f"hello {number}" for number in range(16)]
    with twins.client() as client:
        first = [ask(client, text).raise_for_status().headers[SERVED_BY] for text in texts]
        again = [ask(client, text).raise_for_status().headers[SERVED_BY] for text in texts]
        metrics = client.get("/metrics").text

    assert set(first) == set(IDS)
    assert first == again
    for name in IDS:
        labels = f'backend="{name}",model="fake/echo"'
        assert f"scaigrid_request_duration_seconds_count{{{labels}}}" in metrics
        assert f'scaigrid_backend_health{{backend_id="{name}"}} 1.0' in metrics


def test_model_is_listed_once_with_its_replicas(twins: RunningServer) -> None:
    with twins.client() as client:
        native = client.get("/v1/models").json()["data"]["items"]
        theirs = client.get("/oai/v1/models").json()["data"]

    assert [item["slug"] for item in native] == [item["id"] for item in theirs] == ["fake/echo"]
    assert (native[0]["active_backend_count"], native[0]["total_backend_count"]) == (2, 2)
    assert [item["backend_id"] for item in native[0]["replicas"]] == list(IDS)


def test_what_is_done_to_a_model_is_done_to_all_of_its_replicas(tmp_path: Path) -> None:
    with running_twins(tmp_path) as server, server.client() as client:
        client.post("/v1/models/fake/echo/pin").raise_for_status()
        pins = [server.backend(name)["is_pinned"] for name in IDS]
        stopped = client.post("/v1/models/fake/echo/unload").raise_for_status().json()["data"]
        wait_until(lambda: [server.backend(name)["state"] for name in IDS] == ["stopped", "stopped"])

        client.post("/v1/models/fake/echo/load").raise_for_status()
        wait_until(lambda: [server.backend(name)["state"] for name in IDS] == ["ready", "ready"])

    assert pins == [True, True]
    assert [item["backend_id"] for item in stopped["replicas"]] == list(IDS)


def test_kill_of_one_replica_costs_only_what_had_begun(tmp_path: Path) -> None:
    long = "word " * 30
    with running_twins(tmp_path) as server, server.client() as client, ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(ask, client, f"{number} {long}") for number in range(24)]
        wait_until(lambda: all(server.backend(name)["in_flight"] == 4 for name in IDS))

        os.kill(int(str(server.backend("be_echo_1")["pid"])), signal.SIGKILL)
        answers = [future.result() for future in asked]
        wait_until(lambda: server.backend("be_echo_1")["state"] == "ready")

    failed = [answer for answer in answers if answer.status_code != 200]
    assert len(failed) <= 4
    assert all(answer.json()["error"]["code"] == "BACKEND_ERROR" for answer in failed)


def test_full_replica_brings_up_the_other(tmp_path: Path) -> None:
    with running_twins(tmp_path, preload=False) as server, server.client() as client:
        ask(client, "hello").raise_for_status()
        states = [server.backend(name)["state"] for name in IDS]
        with ThreadPoolExecutor(16) as pool:
            asked: list[Future[httpx.Response]] = [pool.submit(ask, client, "word " * 40) for _ in range(16)]
            wait_until(lambda: server.backend("be_echo_2")["state"] == "ready")
            answers = [future.result() for future in asked]

    assert states == ["ready", "stopped"]
    assert [answer.status_code for answer in answers] == [200] * 16


@pytest.mark.parametrize("preload", [True, False])
def test_batch_runs_on_both_replicas_and_loses_no_line_when_one_dies(tmp_path: Path, preload: bool) -> None:
    lines = [chat_line(str(number), f"{number} " + "word " * 10) for number in range(120)]
    with running_twins(tmp_path, preload=preload) as server, server.client() as client:
        batch_id = submit(client, jsonl(*lines))["id"]
        wait_until(lambda: all(server.backend(name)["batch_in_flight"] for name in IDS))
        os.kill(int(str(server.backend("be_echo_1")["pid"])), signal.SIGKILL)

        batch: dict[str, Any] = until(client, batch_id, has_ended)
        answered = lines_of(client, batch["output_file_url"])

    assert batch["request_counts"]["completed"] == len(answered) == len(lines)
