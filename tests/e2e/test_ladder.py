"""The residency ladder on a real server: workers that really give their memory back, and take it again."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from server.workers.proc import memory_by_group
from tests.e2e.conftest import RunningServer, running_fake
from tests.fakes.ballast import MIB

BALLAST_MIB = 800
HEAVY = f"{{ballast_mib: {BALLAST_MIB}}}"
Wanted = Callable[[], bool]


def ask(client: httpx.Client, model: str) -> None:
    body = {"model": f"fake/{model}", "messages": [{"role": "user", "content": "hi"}]}
    client.post("/v1/inference/chat", json=body).raise_for_status()


def wait_for(is_so: Wanted) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_in(server: RunningServer, backend_id: str, state: str) -> Wanted:
    return lambda: server.backend(backend_id)["state"] == state


def held_bytes(client: httpx.Client) -> int:
    """As the ledger has it: less than was granted as soon as it is measured."""
    [cpu] = client.get("/v1/devices").json()["data"]["items"]
    return int(cpu["used_bytes"])


def resident_bytes(server: RunningServer, backend_id: str) -> int:
    """As the operating system tells it."""
    return memory_by_group()[server.backend(backend_id)["pid"]].resident_bytes


def test_a_model_falls_asleep_gives_its_memory_back_and_wakes_for_a_request(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": HEAVY}) as server, server.client() as client:
        ask(client, "a")
        hot = resident_bytes(server, "be_a")
        pid = server.backend("be_a")["pid"]

        assert client.post("/v1/models/fake/a/sleep").status_code == 202
        wait_for(is_in(server, "be_a", "asleep"))
        freed = hot - resident_bytes(server, "be_a")
        ask(client, "a")
        backend = server.backend("be_a")

    assert freed > 0.95 * BALLAST_MIB * MIB
    assert (backend["state"], backend["pid"]) == ("ready", pid)
    assert backend["evictions"] == {"operator": 1}
    assert backend["wake_s"] > 0


def test_the_ledger_has_less_of_a_sleeping_model(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": HEAVY}) as server, server.client() as client:
        ask(client, "a")
        client.post("/v1/backends/be_a/sleep").raise_for_status()
        wait_for(is_in(server, "be_a", "asleep"))

        wait_for(lambda: held_bytes(client) < BALLAST_MIB * MIB / 2)


def test_two_that_do_not_fit_take_turns_without_being_stopped(tmp_path: Path) -> None:
    """Before they are known a load is granted 600 MiB besides the weights, so that they do not fit at once."""
    with (
        running_fake(tmp_path, {"a": HEAVY, "b": HEAVY}, ram_budget_bytes=str(2050 * MIB)) as server,
        server.client() as client,
    ):
        ask(client, "a")
        wait_for(lambda: server.backend("be_a")["need_bytes"] < 1000 * MIB)  # it is measured
        pid = server.backend("be_a")["pid"]
        ask(client, "b")
        asleep = server.backend("be_a")
        ask(client, "a")

        assert (asleep["state"], asleep["pid"]) == ("asleep", pid)
        assert asleep["evictions"] == {"memory": 1}
        assert server.backend("be_a")["pid"] == pid


def test_keep_alive_leads_to_sleep_and_then_to_the_stop(tmp_path: Path) -> None:
    options = f"{HEAVY}\nkeep_alive: 1s\nsleep_for: 1s"
    with running_fake(tmp_path, {"a": options}) as server, server.client() as client:
        ask(client, "a")

        wait_for(is_in(server, "be_a", "asleep"))
        wait_for(is_in(server, "be_a", "stopped"))

        assert server.backend("be_a")["evictions"] == {"idle": 2}


def test_a_model_whose_sleep_would_free_next_to_nothing_is_not_put_to_sleep(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": "{}"}) as server, server.client() as client:
        ask(client, "a")

        refused = client.post("/v1/backends/be_a/sleep")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")


def test_a_model_that_keeps_its_memory_is_stopped_and_says_so(tmp_path: Path) -> None:
    options = f"{{ballast_mib: {BALLAST_MIB}, kept_mib: {BALLAST_MIB}}}"
    with running_fake(tmp_path, {"a": options}) as server, server.client() as client:
        ask(client, "a")
        client.post("/v1/backends/be_a/sleep").raise_for_status()
        wait_for(is_in(server, "be_a", "stopped"))

        assert "kept" in server.backend("be_a")["last_error"]
        ask(client, "a")
        assert client.post("/v1/backends/be_a/sleep").status_code == 409


def test_a_sleeping_worker_that_is_killed_is_loaded_when_somebody_asks(tmp_path: Path) -> None:
    with running_fake(tmp_path, {"a": HEAVY}) as server, server.client() as client:
        ask(client, "a")
        client.post("/v1/backends/be_a/sleep").raise_for_status()
        wait_for(is_in(server, "be_a", "asleep"))

        os.kill(server.backend("be_a")["pid"], signal.SIGKILL)
        wait_for(is_in(server, "be_a", "stopped"))

        assert server.backend("be_a")["last_error"] == "ended by SIGKILL"
        ask(client, "a")
