"""What the commands for a running server ask it, show, and say when it does not answer."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.cli.ps import kept
from tests.server.cli.conftest import FakeServer, Hearth

BACKEND: dict[str, Any] = {
    "id": "be_a",
    "models": ["acme/chat"],
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
OTHER = BACKEND | {"id": "be_b", "models": ["acme/embed"]}
MODEL = {"slug": "acme/chat", "modality": "chat", "context_window": 2048, "state": "ready", "licence": "MIT"}
FILE = """\
engine: tests.fakes.fake_engine
modality: chat
frontends: [acme/chat]
weights: weights
licence: MIT
context_window: 2048
"""


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "acme.yaml").write_text(FILE)
    return folder


def test_ps_shows_what_a_worker_does(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [BACKEND]}}

    result = hearth("ps", port=str(fake_server.port), api_key="sgk_x")

    for shown in ("acme/chat", "be_a", "loading", "weights", "12d", "4711", "1.50 GiB", "exit status 9"):
        assert shown in result.stdout
    assert fake_server.asked == [("GET", "/v1/backends", "Bearer sgk_x")]


def test_ps_shows_a_state_that_it_does_not_know(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [BACKEND | {"state": "half_awake"}]}}

    assert "half awake" in hearth("ps", port=str(fake_server.port), api_key="sgk_x").stdout


def test_ps_prints_json(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": [BACKEND]}}

    result = hearth("ps", "--json", port=str(fake_server.port), api_key="sgk_x")

    assert json.loads(result.stdout) == [BACKEND]


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"is_pinned": True}, "pinned"),
        ({"state": "asleep", "keep_alive_s": 300.0}, None),
        ({"keep_alive_s": None}, "till needed"),
        ({"keep_alive_s": 300.0, "idle_s": 30.0}, "4m30s more"),
        ({"keep_alive_s": 300.0, "idle_s": None}, "5m00s more"),
    ],
)
def test_ps_says_until_when_a_model_stays(fields: dict[str, Any], shown: str | None) -> None:
    assert shown == kept(BACKEND | {"state": "ready"} | fields)


@pytest.mark.parametrize("command", [("list",), ("ls",), ("models",), ("models", "list")])
def test_list_has_several_names(hearth: Hearth, fake_server: FakeServer, command: tuple[str, ...]) -> None:
    fake_server.answer = {"data": {"items": [MODEL]}}

    assert "acme/chat" in hearth(*command, port=str(fake_server.port), api_key="sgk_x").stdout


def test_list_reads_the_files_where_no_server_runs(hearth: Hearth, models_dir: Path) -> None:
    (models_dir / "bad.yaml").write_text("engien: x\n")

    result = hearth("list", "--json", port="1", api_key="k", models_dir=str(models_dir))

    assert json.loads(result.stdout) == [
        {"slug": "acme/chat", "modality": "chat", "context_window": 2048, "licence": "MIT", "state": None}
    ]
    assert f"no server answers at http://127.0.0.1:1; this is from {models_dir}" in result.stderr
    assert "bad.yaml: engien: unknown key" in result.stderr


def test_no_models_at_all_say_how_to_get_one(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = {"data": {"items": []}}

    assert "`hearth pull" in hearth("list", port=str(fake_server.port), api_key="k").stdout


@pytest.mark.parametrize("name", ["be_a", "acme/chat"])
@pytest.mark.parametrize(
    ("command", "action"), [("stop", "stop"), ("unload", "stop"), ("sleep", "sleep"), ("pin", "pin")]
)
def test_a_backend_goes_by_its_id_and_by_its_model(
    hearth: Hearth, fake_server: FakeServer, name: str, command: str, action: str
) -> None:
    fake_server.answers = {"/v1/backends": {"data": {"items": [BACKEND, OTHER]}}}
    fake_server.answer = {"data": BACKEND | {"state": "draining"}}

    result = hearth(command, name, port=str(fake_server.port), api_key="sgk_x")

    assert result.stdout == "acme/chat: draining; `hearth ps` shows how it goes on\n"
    assert fake_server.asked[-1][:2] == ("POST", f"/v1/backends/be_a/{action}")


def test_a_name_of_several_backends_is_for_all_of_them(hearth: Hearth, fake_server: FakeServer) -> None:
    replica = BACKEND | {"id": "be_a_2"}
    fake_server.answers = {"/v1/backends": {"data": {"items": [BACKEND, replica]}}}
    fake_server.answer = {"data": BACKEND}

    hearth("stop", "acme/chat", port=str(fake_server.port), api_key="sgk_x")

    assert [asked[1] for asked in fake_server.asked[1:]] == [
        "/v1/backends/be_a/stop",
        "/v1/backends/be_a_2/stop",
    ]


@pytest.mark.parametrize(
    ("name", "meant"), [("acme/chta", "acme/chat"), ("embed", "acme/embed"), ("be_aa", "be_a")]
)
def test_a_near_miss_is_told_what_was_meant(
    hearth: Hearth, fake_server: FakeServer, name: str, meant: str
) -> None:
    fake_server.answer = {"data": {"items": [BACKEND, OTHER]}}

    result = hearth("stop", name, port=str(fake_server.port), api_key="sgk_x")

    assert result.exit_code == 1
    assert result.stderr == f"hearth: no model or backend {name}: did you mean {meant}?\n"


def test_show_tells_all_from_the_file_where_no_server_runs(hearth: Hearth, models_dir: Path) -> None:
    result = hearth("show", "acme/chat", port="1", api_key="k", models_dir=str(models_dir))

    assert result.exit_code == 0
    for shown in ("be_acme", "fake_engine", "2048 tokens", "max_concurrency=256", "MIT", "curl http"):
        assert shown in result.stdout
    assert "no server was asked" in result.stdout


def test_show_reads_the_lock_beside_the_weights(hearth: Hearth, models_dir: Path) -> None:
    weights = models_dir / "weights"
    weights.mkdir()
    lock = {"hub": "https://hub", "model": "acme/chat", "commit": "c0ffee", "licence": "MIT", "files": []}
    (weights / "model.lock").write_text(json.dumps(lock))

    result = hearth("show", "be_acme", "--json", port="1", api_key="k", models_dir=str(models_dir))

    assert json.loads(result.stdout)["weights"]["lock"] == {
        "hub": "https://hub",
        "model": "acme/chat",
        "commit": "c0ffee",
        "licence": "MIT",
        "files": 0,
    }


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


def test_a_key_that_may_not_is_told_how_one_may(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.status = 403
    fake_server.answer = {"error": {"code": "AUTHZ_PERMISSION_DENIED", "message": "this needs models:manage"}}

    result = hearth("ps", port=str(fake_server.port), api_key="sgk_x")

    assert "this needs models:manage (AUTHZ_PERMISSION_DENIED)" in result.stderr
    assert "hearth keys create NAME --admin" in result.stderr


def test_another_program_on_the_port_is_recognised(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = ["hello"]

    result = hearth("list", port=str(fake_server.port), api_key="sgk_x")

    assert "is not a Hearth server" in result.stderr
