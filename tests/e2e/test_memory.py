"""More models than memory, on a real server with fake engines: room is made, nobody fails, nothing is left over."""

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from server.workers.proc import memory_by_group
from tests.e2e.conftest import RunningServer, running_fake
from tests.e2e.test_batches import chat_line, has_ended, jsonl, submit, until

BUDGET_BYTES = 750 * 1024**2  # a grant is 600 MiB, what a fake engine then holds some 40
MODELS = ("a", "b", "c", "d", "e")


def ask(client: httpx.Client, model: str) -> httpx.Response:
    body = {"model": f"fake/{model}", "messages": [{"role": "user", "content": "hi"}]}
    return client.post("/v1/inference/chat", json=body)


def evictions(client: httpx.Client) -> int:
    items = client.get("/v1/backends").raise_for_status().json()["data"]["items"]
    return sum(item["evictions"].get("memory", 0) for item in items)


def worker_bytes(server: RunningServer) -> int:
    """Resident memory of all its workers, as the operating system tells it."""
    children = {
        int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and _parent(int(pid)) == server.process.pid
    }
    return sum(size for group, (size, _) in memory_by_group().items() if group in children)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    folder = tmp_path_factory.mktemp("memory")
    with running_fake(
        folder, dict.fromkeys(MODELS, "{token_delay_s: 0.01}"), ram_budget_bytes=str(BUDGET_BYTES)
    ) as server:
        yield server


def test_every_model_answers_though_they_do_not_fit_together(crowded: RunningServer) -> None:
    drawn = random.Random(7)
    over_budget: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            if (size := worker_bytes(crowded)) > BUDGET_BYTES:
                over_budget.append(size)

    watching = threading.Thread(target=watch)
    watching.start()
    with crowded.client() as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(client, drawn.choice(MODELS)), range(60)))
        is_over.set()
        watching.join()
        devices = client.get("/v1/devices").json()["data"]["items"]
        cpu = next(item for item in devices if item["device"] == "cpu")

        assert [answer.status_code for answer in answers] == [200] * 60
        assert over_budget == []
        assert evictions(client) > 0
        assert cpu["budget_bytes"] == BUDGET_BYTES
        assert cpu["used_bytes"] <= BUDGET_BYTES


def test_a_pinned_model_stays(crowded: RunningServer) -> None:
    with crowded.client() as client:
        ask(client, "a").raise_for_status()
        client.post("/v1/backends/be_a/pin").raise_for_status()
        for model in MODELS[1:]:
            ask(client, model).raise_for_status()

        assert crowded.backend("be_a")["state"] == "ready"
        assert crowded.backend("be_a")["is_pinned"] is True
        client.post("/v1/backends/be_a/unpin").raise_for_status()


def test_a_client_goes_before_a_batch_that_holds_the_memory(crowded: RunningServer) -> None:
    lines = [chat_line(f"{number}", "a " * 40, model="fake/a") for number in range(1500)]
    with crowded.client() as client:
        batch_id = submit(client, jsonl(*lines))["id"]
        until(client, batch_id, lambda batch: batch["request_counts"]["completed"] > 20)

        for model in MODELS[1:]:
            ask(client, model).raise_for_status()
        batch = until(client, batch_id, has_ended)

    assert batch["request_counts"]["completed"] == len(lines)


def test_a_model_larger_than_the_machine_is_refused_with_numbers(tmp_path: Path) -> None:
    with (
        running_fake(tmp_path, {"a": "{}"}, ram_budget_bytes=str(500 * 1024**2)) as server,
        server.client() as client,
    ):
        answer = ask(client, "a")

    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "MODEL_UNAVAILABLE"
    assert "needs 0.59 GiB on cpu, whose budget is 0.49 GiB" in error["message"]


def test_an_idle_model_is_stopped_after_its_time(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": "{}\nkeep_alive: 1s"}) as server, server.client() as client:
        ask(client, "a").raise_for_status()
        deadline = time.monotonic() + 30
        while server.backend("be_a")["state"] != "stopped":
            assert time.monotonic() < deadline
            time.sleep(0.1)

        assert server.backend("be_a")["evictions"] == {"idle": 1}
        assert ask(client, "a").status_code == 200


def test_changes_of_state_are_told_as_they_happen(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": "{}"}) as server, server.client() as client:
        plan = client.get("/v1/backends/be_a/plan").json()["data"]
        states = []
        with client.stream("GET", "/v1/events") as events, server.client() as other:
            for line in events.iter_lines():
                if not line.startswith("data: "):
                    continue
                states.append(json.loads(line.removeprefix("data: "))["state"])
                if states == ["stopped"]:
                    other.post("/v1/models/fake/a/load").raise_for_status()
                if states[-1] == "ready":
                    break

    assert plan["verdict"] == "fits"
    assert states[0] == "stopped"
    assert {"starting", "loading", "ready"} <= set(states)
