"""`hearth load` follows the events of the server until its model is ready, and ends with status 1 if it will not be."""

import json
from typing import Any

import pytest

from tests.server.cli.conftest import FakeServer, Hearth

BACKEND = {"id": "be_a", "models": ["acme/chat"], "state": "queued"}
PLAN = {
    "verdict": "evicts",
    "is_measured": True,
    "is_load_measured": False,
    "need_bytes": 2**30,
    "devices": ["cpu"],
    "expected_load_s": 12.0,
    "evicts": ["be_b"],
}


def events(*changes: tuple[str, str, str | None]) -> bytes:
    frames = [
        {"backend_id": backend_id, "state": state, "detail": detail} for backend_id, state, detail in changes
    ]
    lines = [f"event: backend.state\ndata: {json.dumps(frame)}\n\n" for frame in frames]
    return ": ping\n\n".join(lines).encode()


@pytest.fixture
def loading(fake_server: FakeServer) -> FakeServer:
    answers: dict[str, Any] = {
        "/v1/backends": {"data": {"items": [BACKEND]}},
        "/v1/backends/be_a": {"data": BACKEND | {"state": "ready"}},
        "/v1/backends/be_a/plan": {"data": PLAN},
        "/v1/backends/be_a/load": {"data": BACKEND},
    }
    fake_server.answers = answers
    return fake_server


def test_phases_and_those_who_give_way_are_told_on_stderr(hearth: Hearth, loading: FakeServer) -> None:
    loading.answers["/v1/events"] = events(
        ("be_a", "queued", "waits until memory is free"),
        ("be_b", "ready", None),
        ("be_b", "draining", "gives way to be_a"),
        ("be_a", "loading", "weights"),
        ("be_a", "almost_there", None),
        ("be_a", "ready", None),
    )

    result = hearth("load", "acme/chat", port=str(loading.port), api_key="k")

    assert result.exit_code == 0
    assert result.stdout.startswith("acme/chat is ready after ")
    told = [line.partition(" s  ")[2] or line for line in result.stderr.splitlines()]
    assert told == [
        "acme/chat: needs 1.00 GiB on cpu (measured); about 12s (reckoned); be_b will give way",
        "acme/chat: queued: waits until memory is free",
        "be_b: draining: gives way to be_a",
        "acme/chat: loading: weights",
        "acme/chat: almost there",
        "acme/chat: ready",
    ]


@pytest.mark.parametrize(
    ("state", "error", "told"),
    [
        ("failed", "no weights", "acme/chat failed: no weights; `hearth logs acme/chat` has what"),
        ("stopped", None, "acme/chat was stopped before it was ready"),
    ],
)
def test_a_load_that_fails_has_status_1(
    hearth: Hearth, loading: FakeServer, state: str, error: str | None, told: str
) -> None:
    loading.answers["/v1/events"] = events(("be_a", "loading", None), ("be_a", state, None))
    loading.answers["/v1/backends/be_a"] = {"data": BACKEND | {"state": state, "last_error": error}}

    result = hearth("load", "be_a", port=str(loading.port), api_key="k")

    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


def test_a_server_that_ends_is_told(hearth: Hearth, loading: FakeServer) -> None:
    loading.answers["/v1/events"] = events(("be_a", "loading", None))

    result = hearth("load", "be_a", port=str(loading.port), api_key="k")

    assert result.exit_code == 1
    assert "the server ended before the model was ready" in result.stderr


def test_detach_answers_at_once(hearth: Hearth, loading: FakeServer) -> None:
    result = hearth("load", "acme/chat", "--detach", port=str(loading.port), api_key="k")

    assert result.stdout == "acme/chat: queued; `hearth ps` shows how it goes on\n"
    assert "/v1/events" not in [path for _, path, _ in loading.asked]


def test_json_is_the_backend_when_it_is_ready(hearth: Hearth, loading: FakeServer) -> None:
    loading.answers["/v1/events"] = events(("be_a", "ready", None))

    result = hearth("load", "be_a", "--json", port=str(loading.port), api_key="k")

    assert json.loads(result.stdout)["state"] == "ready"
