"""A new version of a model takes over on a real server, with fake engines: while clients ask, and through bad ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import ROOT, RunningServer, StartServer, fake_backend

WEIGHTS_BYTES = 500 * 1024**2
BUDGET_BYTES = 1400 * 1024**2  # of three workers with 500 MiB each beside what a process takes, two fit
PATIENCE_S = 40.0
BROKEN = (
    ("{load_failure: permanent}", "told to fail while loading"),
    ("{die_on_load: true}", "ended with exit status 9"),
    ("{die_at: 0}", "ended with exit status 9"),  # of its probe
    ("{hang_at: 0}", "did not answer its probe: The model did not answer a small request within 1 s"),
)


def write(server: RunningServer, name: str, options: str, **limits: float) -> None:
    text = fake_backend(name, options, **limits)
    (server.data_dir.parent / f"models/{name}.yaml").write_text(text)


def ask(client: httpx.Client, model: str = "fake/a", text: str = "one two three") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return client.post("/v1/inference/chat", json=body)


def replace(client: httpx.Client, backend_id: str = "be_a") -> httpx.Response:
    return client.post(f"/v1/backends/{backend_id}/load?replace=true")


def card(client: httpx.Client, backend_id: str = "be_a") -> dict[str, Any]:
    items = client.get("/v1/backends").raise_for_status().json()["data"]["items"]
    found: dict[str, Any] = next(item for item in items if item["id"] == backend_id)
    return found


def until(
    client: httpx.Client, is_so: Callable[[dict[str, Any]], bool], backend_id: str = "be_a"
) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(found := card(client, backend_id)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def until_held(client: httpx.Client, is_so: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Of the memory of the machine."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(client.get("/v1/devices").json()["data"]["items"][-1]["holdings"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_seen_whole(held: dict[str, Any]) -> bool:
    return bool(held["is_measured"]) and held["size_bytes"] > WEIGHTS_BYTES


def until_held_by(client: httpx.Client, *names: str) -> None:
    until_held(client, lambda holdings: {held["backend_id"] for held in holdings} == set(names))


def until_replaced(client: httpx.Client, *states: str, backend_id: str = "be_a") -> dict[str, Any]:
    return until(client, lambda found: (found["replacement"] or {}).get("state") in states, backend_id)


@contextmanager
def asking(server: RunningServer, num_clients: int = 4) -> Iterator[list[int]]:
    """Clients that ask all the time; the statuses of their answers."""
    statuses: list[int] = []
    is_over = threading.Event()

    def go_on() -> None:
        with server.client() as client:
            while not is_over.is_set():
                statuses.append(ask(client).status_code)

    with ThreadPoolExecutor(num_clients) as pool:
        running = [pool.submit(go_on) for _ in range(num_clients)]
        try:
            yield statuses
        finally:
            is_over.set()
            for one in running:
                one.result()


def cli(server: RunningServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    port = server.url.rpartition(":")[2]
    environment = os.environ | {"HEARTH_PORT": port, "HEARTH_API_KEY": server.key}
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_request_fails_while_a_new_version_takes_over(start_fake: StartServer) -> None:
    server = start_fake({"a": "{token_delay_s: 0.02}"})
    with server.client() as client:
        ask(client).raise_for_status()
        before = card(client)
        with asking(server) as statuses:
            for number in (1, 2):
                write(
                    server, "a", f"{{token_delay_s: 0.02, load_delay_s: 0.{number}}}\nmax_output_tokens: 99"
                )
                replace(client).raise_for_status()
                until_replaced(client, "done")
        after = card(client)
        model = client.get("/v1/models/fake/a").json()["data"]
        answered_by = ask(client).headers["X-Scaigrid-Backend"]
        until_held_by(client, "be_a")

    assert set(statuses) == {200}
    assert len(statuses) > 20
    assert (before["options"], after["options"]) == (
        {"token_delay_s": 0.02},
        {"token_delay_s": 0.02, "load_delay_s": 0.2},
    )
    assert after["pid"] != before["pid"]
    assert (after["replacement"]["number"], after["replacement"]["error"]) == (2, None)
    assert model["max_output_tokens"] == 99
    assert answered_by == "be_a"


def test_a_running_stream_ends_on_the_old_worker(start_fake: StartServer) -> None:
    server = start_fake({"a": "{token_delay_s: 0.05}"})
    body = {"model": "fake/a", "messages": [{"role": "user", "content": "w " * 60}], "stream": True}
    with server.client() as client, server.client() as other:
        ask(client).raise_for_status()
        old_pid = card(client)["pid"]
        with client.stream("POST", "/v1/inference/chat", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            write(server, "a", "{token_delay_s: 0.0}")
            replace(other).raise_for_status()
            draining = until_replaced(other, "draining", "done")
            refused = replace(other)
            rest = list(lines)
        done = until_replaced(other, "done")

    assert draining["replacement"]["state"] == "draining"
    assert draining["pid"] != old_pid
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert "still ends its requests" in refused.json()["error"]["message"]
    assert rest[-2] == "data: [DONE]"
    assert not any("event: error" in line for line in rest)
    assert done["in_flight"] == 0


def test_new_versions_that_do_not_work_leave_the_old_one(start_fake: StartServer) -> None:
    server = start_fake({"a": "{token_delay_s: 0.02}"})
    with server.client() as client:
        ask(client).raise_for_status()
        before = card(client)
        with asking(server) as statuses:
            for options, reason in BROKEN:
                write(server, "a", options, request_timeout_s=1)
                told = cli(server, "load", "--replace", "be_a")
                assert told.returncode == 1
                assert f"be_a: the version before goes on serving: {reason}" in told.stderr
                assert reason in card(client)["replacement"]["error"]
                until_held_by(client, "be_a")
        after = card(client)

    assert set(statuses) == {200}
    assert (after["pid"], after["options"]) == (before["pid"], before["options"])
    assert (after["state"], after["restarts"], after["last_error"]) == ("ready", 0, None)


def test_the_command_follows_a_new_version_until_it_serves(start_fake: StartServer) -> None:
    server = start_fake({"a": "{}"})
    write(server, "a", "{load_delay_s: 0.3}")

    told = cli(server, "load", "--replace", "fake/a")

    assert (told.returncode, told.stderr) == (0, "")
    assert "be_a: loading: pretending" in told.stdout
    assert told.stdout.splitlines()[-1] == "be_a: the new version serves"


def test_others_give_way_and_the_old_version_never(start_fake: StartServer) -> None:
    server = start_fake(
        dict.fromkeys("ab", "{ballast_mib: 500, estimate_mib: 1, sleep_levels: []}"),
        ram_budget_bytes=str(BUDGET_BYTES),
    )
    with server.client() as client:
        ask(client, "fake/b").raise_for_status()
        ask(client, "fake/a").raise_for_status()
        until_held(client, lambda held: all(map(is_seen_whole, held)))
        write(server, "a", "{ballast_mib: 450, estimate_mib: 1, sleep_levels: []}")
        with asking(server) as statuses:
            replace(client).raise_for_status()
            until_replaced(client, "done")
        evictions = {name: card(client, name)["evictions"] for name in ("be_a", "be_b")}
        write(server, "a", "{estimate_mib: 790}")
        refused = replace(client)

    assert set(statuses) == {200}
    assert evictions == {"be_a": {}, "be_b": {"memory": 1}}
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert "GiB of the one that serves: stop be_a first" in refused.json()["error"]["message"]


def test_a_file_with_mistakes_is_refused_by_name_and_key(start_fake: StartServer) -> None:
    server = start_fake({"a": "{}", "b": "{}"})
    with server.client() as client:
        write(server, "a", "{token_delay: 1}\nprioritty: 3")
        wrong = replace(client)
        write(server, "a", "{}")
        file = server.data_dir.parent / "models/a.yaml"
        file.write_text(file.read_text().replace("fake/a", "fake/b"))
        taken = replace(client)
        replacement = card(client)["replacement"]

    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert [detail["field"] for detail in wrong.json()["error"]["details"]] == [
        "prioritty",
        "options.token_delay",
    ]
    assert taken.json()["error"]["details"] == [
        {"field": "frontends[0]", "message": "a.yaml: `fake/b` is already taken by be_b"}
    ]
    assert replacement is None


def test_names_of_the_new_version_count_at_once(start_fake: StartServer) -> None:
    server = start_fake({"a": "{}"})
    with server.client() as client:
        ask(client).raise_for_status()
        write(server, "a", "{}")
        file = server.data_dir.parent / "models/a.yaml"
        file.write_text(file.read_text().replace("fake/a", "fake/renamed"))
        replace(client).raise_for_status()
        until_replaced(client, "done")
        answers = [ask(client, name).status_code for name in ("fake/renamed", "fake/a")]
        metrics = client.get("/metrics").text

    assert answers == [200, 404]
    assert 'scaigrid_requests_total{model="fake/renamed",protocol="native",status="200"} 1.0' in metrics


@pytest.mark.parametrize("is_old", [True, False])
def test_a_killed_worker_ends_as_documented(start_fake: StartServer, is_old: bool) -> None:
    server = start_fake({"a": "{}"})
    with server.client() as client:
        ask(client).raise_for_status()
        old_pid = int(card(client)["pid"])
        write(server, "a", "{load_delay_s: 1.0}")
        replace(client).raise_for_status()
        until_replaced(client, "loading")
        os.kill(old_pid if is_old else _other_worker(server, old_pid), signal.SIGKILL)
        ended = until_replaced(client, "done", "failed")
        answer = ask(client)

    assert ended["replacement"]["state"] == ("done" if is_old else "failed")
    assert ended["replacement"]["error"] == (None if is_old else "ended by SIGKILL")
    assert answer.status_code == 200


def _other_worker(server: RunningServer, old_pid: int) -> int:
    """The process of the worker that is not `old_pid`."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    workers = [line.split(None, 1) for line in listed.stdout.splitlines() if "engines.runtime" in line]
    return next(int(pid) for pid, _ in workers if int(pid) != old_pid)


@pytest.mark.parametrize("is_ended_by", ["stop", "shutdown"])
def test_what_ends_a_backend_ends_both_versions(start_fake: StartServer, is_ended_by: str) -> None:
    server = start_fake({"a": "{}"})
    with server.client() as client:
        ask(client).raise_for_status()
        old_pid = int(card(client)["pid"])
        write(server, "a", "{load_delay_s: 30}")
        replace(client).raise_for_status()
        until_replaced(client, "loading")
        pids = [old_pid, _other_worker(server, old_pid)]
        if is_ended_by == "stop":
            client.post("/v1/backends/be_a/stop").raise_for_status()
            ended = until(client, lambda found: found["state"] == "stopped")
            assert ended["replacement"]["error"] == "stopped by an operator"
    if is_ended_by == "shutdown":
        assert server.stop() == 0

    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_replacements_are_told_in_the_stream_of_events(start_fake: StartServer) -> None:
    server = start_fake({"a": "{}"})
    states: list[str] = []
    with server.client() as client, server.client() as other:
        ask(other).raise_for_status()
        write(server, "a", "{load_delay_s: 0.2}")
        with client.stream("GET", "/v1/events") as events:
            is_replacement = False
            for line in events.iter_lines():
                if line.startswith("event: "):
                    is_replacement = line == "event: backend.replacement"
                elif line.startswith("data: ") and is_replacement:
                    states.append(json.loads(line.removeprefix("data: "))["state"])
                elif line.startswith("data: ") and not states:
                    replace(other)
                if states[-1:] == ["done"]:
                    break

    assert list(dict.fromkeys(states)) == ["starting", "loading", "warming", "probing", "draining", "done"]


def test_replicas_are_replaced_one_after_the_other(start_fake: StartServer) -> None:
    server = start_fake({"a": "{token_delay_s: 0.02}\nreplicas: 2"})
    with server.client() as client:
        client.post("/v1/models/fake/a/load").raise_for_status()
        for name in ("be_a_1", "be_a_2"):
            until(client, lambda found: found["state"] == "ready", name)
        write(server, "a", "{token_delay_s: 0.01}\nreplicas: 2")
        refused = client.post("/v1/models/fake/a/load?replace=true")
        with asking(server) as statuses:
            told = cli(server, "load", "--replace", "fake/a")
        options = [card(client, name)["options"] for name in ("be_a_1", "be_a_2")]

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert "replace each of be_a_1, be_a_2" in refused.json()["error"]["message"]
    assert (told.returncode, told.stderr) == (0, "")
    assert set(statuses) == {200}
    assert options == [{"token_delay_s": 0.01}] * 2
