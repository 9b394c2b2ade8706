"""What `hearth engines` says; the installation itself is tested with fakes in `test_engine_envs.py`."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from server.cli.install_progress import LineReporter, show_progress
from server.engine_envs import EngineEnvironment
from tests.server.cli.conftest import Hearth


def test_list_shows_both_flavours(hearth: Hearth, tmp_path: Path) -> None:
    listed = json.loads(hearth("engines", "list", "--json").stdout)

    assert [(item["flavour"], item["state"]) for item in listed] == [("cpu", "missing"), ("cuda", "missing")]
    assert sum(item["fits"] for item in listed) == 1
    assert str(tmp_path / "engines/cpu") in hearth("engines", "list").stdout


def test_current_environment_is_left_alone(hearth: Hearth, tmp_path: Path) -> None:
    environment = EngineEnvironment("cpu", tmp_path / "engines")
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    environment.mark_current()

    result = hearth("engines", "install", "--flavour", "cpu")

    assert (result.exit_code, result.stdout) == (0, "engines (cpu) are up to date\n")


def test_given_interpreter_needs_no_installation(hearth: Hearth) -> None:
    result = hearth("engines", "install", "--json", engines_python="/usr/bin/python3")

    assert json.loads(result.stdout)["installed"] is False


def test_unknown_flavour_is_refused(hearth: Hearth) -> None:
    result = hearth("engines", "install", "--flavour", "rocm")

    assert result.exit_code == 1
    assert "must be auto, cpu or cuda" in result.stderr


def test_steps_are_lines_where_there_is_no_terminal() -> None:
    written = StringIO()

    with show_progress(Console(file=written, width=200)) as reporter:
        assert isinstance(reporter, LineReporter)
        reporter.step(1, 2, "do this")
        reporter.line("said too soon to be shown")

    assert written.getvalue() == "   0 s  1/2 do this\n"


def test_steps_and_their_last_line_are_live_on_a_terminal() -> None:
    written = StringIO()

    with show_progress(Console(file=written, width=200, force_terminal=True)) as reporter:
        reporter.step(1, 2, "do this")
        reporter.line("Collecting something")
        reporter.step(2, 2, "do that")

    assert "1/2 do this" in written.getvalue()
    assert "2/2 do that" in written.getvalue()
