"""Makes an engine environment, step by step, with pip. Knows how to install, not how progress is shown."""

import fcntl
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

from server.engine_envs.environment import EngineEnvironment, State
from server.engine_envs.imports import IMPORT_SCRIPT, read_imports
from server.engine_envs.requirements import PipSet, pip_sets
from server.engine_envs.version import Version

# torchaudio's wheel is built for CUDA; without its libraries it takes its own path in Python, and imports.
REMOVE_CUDA_LIBRARIES = (
    "import pathlib, sysconfig; "
    "[file.unlink() for file in pathlib.Path(sysconfig.get_paths()['purelib'], 'torchaudio/lib').glob('*.so')]"
)
_PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
_TAIL_LINES = 25

Command = tuple[str, ...]


class Step(NamedTuple):
    """Commands of which one has to succeed; they are tried in order."""

    title: str
    alternatives: tuple[Command, ...]


class InstallError(Exception):
    """A step failed; `tail` is the end of the log."""

    def __init__(self, message: str, *, log: Path, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = log
        self.tail = tuple(tail)


class Reporter(Protocol):
    """Hears how far the installation is."""

    def step(self, number: int, total: int, title: str) -> None: ...

    def line(self, text: str) -> None: ...


class Runner(Protocol):
    """Runs a command, hands over each line of its output, and returns its exit status."""

    def __call__(self, command: Command, on_line: Callable[[str], None]) -> int: ...


def plan(environment: EngineEnvironment, version: Version, wheels: Path | None = None) -> list[Step]:
    """What has to be done, in order. With `wheels` packages come from that folder and from nowhere else."""
    python = str(version.python)
    source = () if wheels is None else ("--no-index", "--find-links", str(wheels.absolute()))
    pip = (python, *_PIP, *source)
    steps = [
        Step("create the environment", ((sys.executable, "-m", "venv", "--clear", str(version.folder)),))
    ]
    sets = pip_sets(environment.flavour, environment.requirements)
    steps += [Step(item.title, _alternatives(pip, item, is_offline=bool(source))) for item in sets]
    if environment.flavour == "cpu":
        steps.append(Step("remove libraries for CUDA", ((python, "-I", "-c", REMOVE_CUDA_LIBRARIES),)))
    check = (python, "-I", "-c", IMPORT_SCRIPT, *read_imports(environment.imports))
    return [*steps, Step("check that it works", (check,))]


def install(
    environment: EngineEnvironment,
    run: Runner,
    reporter: Reporter,
    *,
    anew: bool = False,
    wheels: Path | None = None,
) -> Version:
    """Install what this release requires, beside what there is, and make it current. Blocks for minutes.

    A version that is complete already only becomes current, unless `anew`. Raises InstallError; then the current
    version is what it was.
    """
    with exclusive(environment):
        environment.adopt()
        version = environment.wanted(anew=anew)
        if environment.state_of(version) is not State.COMPLETE:
            _make(environment, version, plan(environment, version, wheels), run, reporter)
        environment.switch(version)
        return version


@contextmanager
def exclusive(environment: EngineEnvironment) -> Iterator[None]:
    """Two that change one flavour would ruin it; the kernel frees the lock when its holder dies."""
    try:
        environment.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallError(f"cannot write to {environment.folder}", log=environment.log) from error
    with environment.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InstallError("another installation is running", log=environment.log) from error
        yield


def _make(
    environment: EngineEnvironment, version: Version, steps: list[Step], run: Runner, reporter: Reporter
) -> None:
    version.mark_incomplete()
    with environment.log.open("w", encoding="utf-8") as log:
        for number, step in enumerate(steps, start=1):
            reporter.step(number, len(steps), step.title)
            if not any(_succeeds(command, run, reporter, log) for command in step.alternatives):
                raise InstallError(
                    f"could not {step.title}", log=environment.log, tail=_tail(environment.log, log)
                )
    version.mark_complete(environment.digest())


def _alternatives(pip: Command, item: PipSet, *, is_offline: bool) -> tuple[Command, ...]:
    command = (*pip, *item.arguments)
    if item.other_index is None or is_offline:
        return (command,)
    return (command, (*command, "--index-url", item.other_index))


def _succeeds(command: Command, run: Runner, reporter: Reporter, log: TextIO) -> bool:
    def on_line(text: str) -> None:
        log.write(text + "\n")
        reporter.line(text)

    log.write(f"$ {' '.join(command)}\n")
    return run(command, on_line) == 0


def _tail(path: Path, log: TextIO) -> list[str]:
    log.flush()
    with path.open(encoding="utf-8") as lines:
        return [line.rstrip() for line in deque(lines, _TAIL_LINES)]
