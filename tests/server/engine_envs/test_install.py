"""Engine environments: found, trusted, installed in order, and never used half done."""

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from engines.contract.errors import EngineError, ErrorCode
from server.engine_envs import EngineEnvironment, State, python_for
from server.engine_envs.commands import run_command
from server.engine_envs.install import InstallError, install, plan


class FakeSettings(NamedTuple):
    engines_dir: Path
    engines_python: Path | None = None


class FakeRunner:
    """Remembers commands; makes the interpreter when asked for a venv; fails where told."""

    def __init__(self, fails: Callable[[tuple[str, ...]], bool] = lambda command: False) -> None:
        self.commands: list[tuple[str, ...]] = []
        self._fails = fails

    def __call__(self, command: tuple[str, ...], on_line: Callable[[str], None]) -> int:
        self.commands.append(command)
        on_line(f"output of command {len(self.commands)}")
        if self._fails(command):
            return 1
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        return 0


class Heard:
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.lines: list[str] = []

    def step(self, number: int, total: int, title: str) -> None:
        self.steps.append(f"{number}/{total} {title}")

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    folder = tmp_path / "requirements"
    folder.mkdir()
    for name in ("cpu.txt", "cpu-nodeps.txt", "cuda.txt", "built.txt"):
        (folder / name).write_text(f"{name}-package==1\n")
    (folder / "imports.txt").write_text("# what for\nimport json  # why\nfind xml\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path, requirements: Path) -> EngineEnvironment:
    return EngineEnvironment("cpu", tmp_path / "engines", requirements)


def test_installation_makes_the_environment_current(environment: EngineEnvironment) -> None:
    assert environment.state() is State.MISSING

    install(environment, FakeRunner(), Heard())

    assert environment.state() is State.COMPLETE


def test_pytorch_comes_before_what_depends_on_it(environment: EngineEnvironment) -> None:
    runner, heard = FakeRunner(), Heard()

    install(environment, runner, heard)

    packages = [" ".join(command[command.index("off") + 1 :]) for command in runner.commands[1:4]]
    cpu, without_dependencies = environment.requirements
    assert packages == [
        "--no-deps torch==2.13.0+cpu",
        f"torch==2.13.0+cpu -r {cpu}",
        f"--no-deps -r {without_dependencies}",
    ]
    assert "venv" in runner.commands[0]
    assert "torchaudio" in runner.commands[4][-1]
    assert runner.commands[5][-2:] == ("import:json", "find:xml")
    assert [step[:3] for step in heard.steps] == [f"{number}/6" for number in range(1, 7)]


def test_pytorch_is_taken_from_its_own_index_when_pip_has_no_cpu_build(
    environment: EngineEnvironment,
) -> None:
    runner = FakeRunner(fails=lambda command: command[-1] == "torch==2.13.0+cpu")

    install(environment, runner, Heard())

    assert runner.commands[2][-2:] == ("--index-url", "https://download.pytorch.org/whl/cpu")
    assert environment.state() is State.COMPLETE


def test_failed_step_leaves_no_current_version_and_shows_the_log(environment: EngineEnvironment) -> None:
    runner = FakeRunner(fails=lambda command: "-r" in command)

    with pytest.raises(InstallError, match="could not install the engines' libraries") as caught:
        install(environment, runner, Heard())

    assert environment.state() is State.MISSING
    assert [environment.state_of(version) for version in environment.versions()] == [State.BROKEN]
    assert caught.value.tail[-1] == "output of command 3"
    assert len(runner.commands) == 3


def test_interrupted_renewal_leaves_the_version_before_current(environment: EngineEnvironment) -> None:
    before = install(environment, FakeRunner(), Heard())

    def interrupt(command: tuple[str, ...]) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(environment, FakeRunner(fails=interrupt), Heard(), anew=True)

    assert (environment.current(), environment.state()) == (before, State.COMPLETE)


def test_changed_requirements_make_it_outdated(environment: EngineEnvironment) -> None:
    install(environment, FakeRunner(), Heard())

    environment.requirements[0].write_text("package==2\n")

    assert environment.state() is State.OUTDATED


def test_environment_without_interpreter_is_broken(environment: EngineEnvironment) -> None:
    version = install(environment, FakeRunner(), Heard())

    version.python.unlink()

    assert environment.state() is State.BROKEN


def test_packages_of_a_folder_are_asked_of_no_index(environment: EngineEnvironment, tmp_path: Path) -> None:
    runner = FakeRunner()

    install(environment, runner, Heard(), wheels=tmp_path)

    offline = [command for command in runner.commands if "pip" in command]
    assert len(offline) == 3
    assert all("--no-index --find-links" in " ".join(command) for command in offline)


def test_second_installation_at_the_same_time_is_refused(environment: EngineEnvironment) -> None:
    environment.lock.parent.mkdir(parents=True)
    with environment.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runner = FakeRunner()

        with pytest.raises(InstallError, match="another installation is running"):
            install(environment, runner, Heard())

    assert runner.commands == []


def test_cuda_is_installed_from_its_lock_alone(tmp_path: Path, requirements: Path) -> None:
    environment = EngineEnvironment("cuda", tmp_path, requirements)

    steps = plan(environment, environment.wanted())

    commands = [" ".join(step.alternatives[0]) for step in steps[1:3]]
    assert [command.partition(" off ")[2] for command in commands] == [
        f"--no-deps --require-hashes -r {requirements / 'cuda.txt'}",
        f"--no-deps -r {requirements / 'built.txt'}",
    ]
    assert len(steps) == 4


def test_requirement_files_of_the_repository_exist() -> None:
    for flavour in ("cpu", "cuda"):
        assert all(file.is_file() for file in EngineEnvironment(flavour, Path("/nowhere")).requirements)


def test_given_interpreter_is_used_for_every_engine(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()

    assert python_for("vllm_chat", FakeSettings(tmp_path, engines_python=python)) == python


def test_engine_without_environment_is_unavailable_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="run `hearth engines install`") as caught:
        python_for("vllm_chat", FakeSettings(tmp_path))

    assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE


def test_missing_given_interpreter_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"engines_python .*/none does not exist"):
        python_for("vllm_chat", FakeSettings(tmp_path, engines_python=tmp_path / "none"))


def test_command_hands_over_both_outputs_and_the_status() -> None:
    lines: list[str] = []

    status = run_command(("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), lines.append)

    assert (sorted(lines), status) == (["err", "out"], 3)
