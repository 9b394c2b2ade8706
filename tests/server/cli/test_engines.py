"""What `hearth engines` says; the installation itself is tested with fakes in `tests/server/engine_envs`."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from server.cli.install_progress import LineReporter, show_progress
from server.engine_envs import EngineEnvironment, Version
from tests.server.cli.conftest import Hearth


def make_version(engines: Path, digest: str | None = None) -> Version:
    """A complete version of this release's requirements, or of others; it becomes the current one."""
    environment = EngineEnvironment("cpu", engines)
    name = f"cpu-{digest}" if digest else environment.wanted().name
    version = Version("cpu", engines / name)
    version.python.parent.mkdir(parents=True)
    version.python.touch()
    version.mark_complete(digest or environment.digest())
    environment.switch(version)
    return version


def test_list_shows_versions_and_which_is_current(hearth: Hearth, tmp_path: Path) -> None:
    old = make_version(tmp_path / "engines", "0123456789ab")
    new = make_version(tmp_path / "engines")

    listed = json.loads(hearth("engines", "list", "--json").stdout)

    states = {item["version"]: (item["state"], item["is_current"]) for item in listed}
    assert states == {old.name: ("outdated", False), new.name: ("complete", True)}
    assert str(new.folder) in hearth("engines", "list").stdout


def test_list_of_nothing_says_what_to_do(hearth: Hearth) -> None:
    assert "`hearth engines install` installs them" in hearth("engines", "list").stdout


def test_current_environment_is_left_alone(hearth: Hearth, tmp_path: Path) -> None:
    make_version(tmp_path / "engines")

    result = hearth("engines", "install", "--flavour", "cpu")

    assert (result.exit_code, result.stdout) == (0, "engines (cpu) are up to date\n")


def test_environment_of_a_release_before_becomes_a_version(hearth: Hearth, tmp_path: Path) -> None:
    version = make_version(tmp_path / "engines")
    (tmp_path / "engines/cpu").unlink()
    version.folder.rename(tmp_path / "engines/cpu")

    result = hearth("engines", "install", "--flavour", "cpu")

    assert (result.exit_code, result.stdout) == (0, "engines (cpu) are up to date\n")
    assert (tmp_path / "engines/cpu").readlink() == Path(version.name)
    assert (tmp_path / "engines/cpu/bin/python").exists()


def test_rollback_is_kept_by_the_next_installation(hearth: Hearth, tmp_path: Path) -> None:
    old = make_version(tmp_path / "engines", "0123456789ab")
    make_version(tmp_path / "engines")

    used = hearth("engines", "use", old.name)
    installed = hearth("engines", "install", "--flavour", "cpu")

    assert used.stdout == f"engines (cpu) use {old.name}\n"
    assert f"stay at {old.name}, as chosen" in installed.stdout


def test_removal_asks_for_force_where_it_is_current(hearth: Hearth, tmp_path: Path) -> None:
    version = make_version(tmp_path / "engines")

    refused = hearth("engines", "remove", version.name)
    removed = hearth("engines", "remove", version.name, "--force")

    assert (refused.exit_code, removed.exit_code) == (1, 0)
    assert "--force removes it all the same" in refused.stderr
    assert not version.folder.exists()


def test_unknown_version_is_refused_with_those_there_are(hearth: Hearth, tmp_path: Path) -> None:
    version = make_version(tmp_path / "engines")

    result = hearth("engines", "use", "cpu-none")

    assert f"there is no version cpu-none; there are: {version.name}" in result.stderr


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
