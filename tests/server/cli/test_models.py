"""What the commands for a running server ask it, show, and say when it does not answer."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.server.cli.conftest import FakeServer, Hearth

BACKEND: dict[str, Any] = {
    "id": "be_a",
    "state": "loading",
    "detail": "weights",
    "since": (datetime.now(UTC) - timedelta(days=12, hours=1)).isoformat(),
    "in_flight": 3,
    "waiting": 1,
    "restarts": 2,
    "pid": 4711,
    "rss_bytes": 3 * 2**29,
    "last_error": "exit status 9",
}
MODEL = {"slug": "acme/chat", "modality": "chat", "context_window": 2048, "state": "ready", "licence": "MIT"}


def test_ps_shows_what_a_worker_does(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [BACKEND]}}

    result = hearth("ps", port=str(fake_server.port), api_key="sgk_x")

    for shown in ("be_a", "loading: weights", "12d", "4711", "1.50 GiB", "exit status 9"):
        assert shown in result.stdout
    assert fake_server.asked == [("GET", "/v1/backends", "Bearer sgk_x")]


def test_ps_prints_json(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [BACKEND]}}

    result = hearth("ps", "--json", port=str(fake_server.port), api_key="sgk_x")

    assert json.loads(result.stdout) == [BACKEND]


def test_models_and_models_list_are_the_same(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [MODEL]}}

    short = hearth("models", port=str(fake_server.port), api_key="sgk_x")
    long = hearth("models", "list", port=str(fake_server.port), api_key="sgk_x")

    assert short.stdout == long.stdout
    assert "acme/chat" in short.stdout


def test_server_without_models_says_so(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": []}}

    assert hearth("models", port=str(fake_server.port), api_key="k").stdout == "The server has no models.\n"


def test_load_and_stop_name_the_backend(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": BACKEND}

    loaded = hearth("load", "be_a", port=str(fake_server.port), api_key="sgk_x")
    hearth("stop", "be_a", port=str(fake_server.port), api_key="sgk_x")

    assert loaded.stdout.startswith("be_a: loading")
    assert [asked[:2] for asked in fake_server.asked] == [
        ("POST", "/v1/backends/be_a/load"),
        ("POST", "/v1/backends/be_a/stop"),
    ]


def test_without_a_key_the_variable_is_named(hearth: Hearth, fake_server: FakeServer) -> None:
    result = hearth("ps", port=str(fake_server.port))

    assert (result.exit_code, result.stdout) == (1, "")
    assert "set HEARTH_API_KEY" in result.stderr
    assert fake_server.asked == []


def test_without_a_server_its_address_is_named(hearth: Hearth) -> None:
    result = hearth("ps", port="1", api_key="sgk_x")

    assert result.exit_code == 1
    assert "no server answers at http://127.0.0.1:1 (ConnectError)" in result.stderr


def test_refusal_is_told_in_the_servers_words(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.status = 401
    fake_server.answer = {"error": {"code": "AUTH_TOKEN_INVALID", "message": "The key is not valid"}}

    result = hearth("ps", port=str(fake_server.port), api_key="sgk_x")

    assert result.exit_code == 1
    assert "The key is not valid (AUTH_TOKEN_INVALID): is the key in HEARTH_API_KEY right?" in result.stderr
    assert "sgk_x" not in result.stderr


def test_another_program_on_the_port_is_recognised(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = ["hello"]

    result = hearth("models", port=str(fake_server.port), api_key="sgk_x")

    assert "is not a Hearth server" in result.stderr
