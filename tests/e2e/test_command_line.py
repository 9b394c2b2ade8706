"""Every command of the command line once, against a real server with fake engines that do not fit together."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.cli.commands import app
from tests.e2e.conftest import RunningServer, running_fake

BUDGET_BYTES = 750 * 1024**2  # a grant is 600 MiB, what a fake engine then holds some 40
PLAIN = "{token_delay_s: 0.01, ballast_mib: 120}"
BROKEN = "{load_failure: permanent}"
HUGE = "{ballast_mib: 5000}"

Hearth = Callable[..., Result]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("commands")
    backends = {"a": PLAIN, "b": PLAIN, "broken": BROKEN, "huge": HUGE}
    with running_fake(folder, backends, ram_budget_bytes=str(BUDGET_BYTES)) as server:
        yield server


@pytest.fixture
def hearth(served: RunningServer) -> Hearth:
    """Runs a command as on the server's machine, with its administrator's key."""
    given = {
        "HEARTH_DATA_DIR": str(served.data_dir),
        "HEARTH_MODELS_DIR": str(served.data_dir.parent / "models"),
        "HEARTH_ENGINES_DIR": str(served.data_dir / "engines"),
        "HEARTH_PORT": served.url.rpartition(":")[2],
        "HEARTH_API_KEY": served.key,
        "HEARTH_RAM_BUDGET_BYTES": str(BUDGET_BYTES),
    }

    def run(*arguments: str, **settings: str) -> Result:
        return CliRunner(env=given | settings).invoke(app, list(arguments))

    return run


@pytest.fixture
def ask(hearth: Hearth) -> Callable[..., Any]:
    """What a command prints with `--json`."""

    def run(*arguments: str) -> Any:
        result = hearth(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


def wait_until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def state(ask: Callable[..., Any], backend_id: str) -> str:
    return next(str(item["state"]) for item in ask("ps") if item["id"] == backend_id)


def is_measured(ask: Callable[..., Any], backend_id: str) -> bool:
    """Since its ballast was seen: looks from before that count less."""
    holdings = next(item["holdings"] for item in ask("devices") if item["device"] == "cpu")
    sizes = {holding["backend_id"]: holding["size_bytes"] for holding in holdings if holding["is_measured"]}
    return bool(sizes.get(backend_id, 0) > 120 * 1024**2)


def test_models_are_listed_and_shown(ask: Callable[..., Any], hearth: Hearth) -> None:
    shown = ask("show", "fake/a")

    assert [item["slug"] for item in ask("list")] == ["fake/a", "fake/b", "fake/broken", "fake/huge"]
    assert (shown["id"], shown["configuration"]["context_window"]) == ("be_a", 4096)
    assert "curl http" in hearth("show", "be_a").stdout


def test_a_load_is_followed_to_its_end_and_says_who_gives_way(
    ask: Callable[..., Any], hearth: Hearth
) -> None:
    first = hearth("load", "fake/a")
    wait_until(lambda: is_measured(ask, "be_a"))
    plan = ask("plan", "fake/b")
    second = hearth("load", "be_b")

    assert first.stdout.startswith("fake/a is ready after ")
    assert "fake/a: loading: pretending" in first.stderr
    assert (plan["verdict"], plan["evicts"], plan["arguments"]["ballast_mib"]) == ("evicts", ["be_a"], 120)
    assert "be_a will give way" in second.stderr
    assert "be_a: " in second.stderr
    assert second.exit_code == 0
    assert state(ask, "be_b") == "ready"


def test_a_load_that_fails_tells_why(hearth: Hearth) -> None:
    result = hearth("load", "fake/broken")

    assert result.exit_code == 1
    assert "fake/broken failed: told to fail while loading" in result.stderr


def test_a_load_that_can_never_fit_tells_what_would(hearth: Hearth) -> None:
    result = hearth("load", "fake/huge")

    assert result.exit_code == 1
    assert "on cpu, whose budget is 0.73 GiB" in result.stderr
    assert "would fit with options.ballast_mib: " in hearth("plan", "fake/huge").stdout


def test_a_load_time_that_was_seen_is_expected_again(ask: Callable[..., Any], hearth: Hearth) -> None:
    hearth("load", "fake/a")

    assert ask("plan", "fake/a")["is_load_measured"]


def test_all_plans_say_who_fits_together(ask: Callable[..., Any], hearth: Hearth) -> None:
    found = ask("plan")

    assert len(found["together"]["order"]) < len(found["items"]) == 4
    assert "Resident at once, in this order: " in hearth("plan").stdout


def test_a_model_is_asked_measured_pinned_and_stopped(ask: Callable[..., Any], hearth: Hearth) -> None:
    assert hearth("run", "fake/a", "one two").stdout == "one two\n"
    assert ask("run", "fake/a", "one two")["answer"] == "one two"
    assert ask("bench", "fake/a", "-c", "2", "--seconds", "0.2")[0]["failed"] == 0
    assert ask("pin", "fake/a")["is_pinned"]
    assert "pinned" in hearth("ps").stdout
    assert not ask("pin", "be_a", "--off")["is_pinned"]
    assert ask("devices")[0]["device"] == "cpu"
    ask("stop", "fake/a")
    wait_until(lambda: state(ask, "be_a") == "stopped")
    ask("load", "fake/a", "--detach")
    wait_until(lambda: state(ask, "be_a") == "ready")
    assert "not ready, or cannot sleep" in hearth("sleep", "fake/broken").stderr
    assert hearth("unload", "fake/a").exit_code == 0


def test_commands_of_the_machine_work_beside_a_running_server(
    ask: Callable[..., Any], hearth: Hearth
) -> None:
    assert ask("keys", "list")
    assert ask("engines", "list") == []
    assert hearth("doctor", "--no-imports", "--json").stdout.startswith("[")
    assert "fake_engine" in hearth("show", "fake/a").stdout
    assert hearth("logs", "fake/a").exit_code == 0
    assert "hearth" in hearth("completion", "bash").stdout


def test_misspelt_names_are_guessed_everywhere(hearth: Hearth) -> None:
    for command in ("show", "load", "stop", "unload", "sleep", "pin", "plan", "run", "bench", "logs"):
        result = hearth(command, "fake/aa", *(["hi"] if command == "run" else []))

        assert result.exit_code == 1, command
        assert "did you mean" in result.stderr, command


def test_without_the_server_the_files_are_read(hearth: Hearth, served: RunningServer) -> None:
    listed = hearth("list", HEARTH_PORT="1")
    planned = hearth("plan", "be_a", HEARTH_PORT="1")
    by_file = hearth("plan", str(served.data_dir.parent / "models/a.yaml"), HEARTH_PORT="1")

    for result in (listed, planned, by_file):
        assert result.exit_code == 0, result.stderr
    assert "no server answers at http://127.0.0.1:1" in listed.stderr
    assert "fake/a: fits" in planned.stdout
    assert "a.yaml by itself" in by_file.stderr
