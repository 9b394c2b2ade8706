"""Makes an engine environment, step by step, with pip. Knows how to install, not how progress is shown."""

import fcntl
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

from server.engine_envs.environment import EngineEnvironment

TORCH_CPU = "torch==2.13.0+cpu"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
IMPORT_CHECK = (
    "import msgspec, torch, uvloop, vllm; from vllm.v1.engine.async_llm import AsyncLLM; "
    "import sentence_transformers, diffusers, faster_whisper, torchaudio; "
    "from importlib.util import find_spec; raise SystemExit(find_spec('TTS') is None)"
)
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


def plan(environment: EngineEnvironment) -> list[Step]:
    """What has to be done, in order."""
    python = str(environment.python)
    steps = [
        Step("create the environment", ((sys.executable, "-m", "venv", "--clear", str(environment.folder)),))
    ]
    steps += _cpu_packages(environment) if environment.flavour == "cpu" else _cuda_packages(environment)
    return [*steps, Step("check that it works", ((python, "-I", "-c", IMPORT_CHECK),))]


def install(environment: EngineEnvironment, run: Runner, reporter: Reporter) -> None:
    """Make the environment anew. Blocks for minutes. Raises InstallError; what is half done is never used."""
    try:
        environment.log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallError(f"cannot write to {environment.log.parent}", log=environment.log) from error
    with _only_one(environment), environment.log.open("w", encoding="utf-8") as log:
        environment.mark_incomplete()
        steps = plan(environment)
        for number, step in enumerate(steps, start=1):
            reporter.step(number, len(steps), step.title)
            if not any(_succeeds(command, run, reporter, log) for command in step.alternatives):
                raise InstallError(
                    f"could not {step.title}", log=environment.log, tail=_tail(environment.log, log)
                )
        environment.mark_current()


def _cpu_packages(environment: EngineEnvironment) -> list[Step]:
    """PyTorch comes first and is then held: left to itself, pip would take the CUDA build and 4 GB more."""
    pip = (str(environment.python), *_PIP)
    packages, without_dependencies = map(str, environment.requirements)
    torch = (*pip, "--no-deps", TORCH_CPU)
    return [
        Step("install PyTorch for CPU (190 MB)", (torch, (*torch, "--index-url", PYTORCH_CPU_INDEX))),
        Step("install the engines' libraries", ((*pip, TORCH_CPU, "-r", packages),)),
        Step("install vLLM for CPU (150 MB)", ((*pip, "--no-deps", "-r", without_dependencies),)),
        Step("remove libraries for CUDA", ((str(environment.python), "-I", "-c", REMOVE_CUDA_LIBRARIES),)),
    ]


def _cuda_packages(environment: EngineEnvironment) -> list[Step]:
    (packages,) = map(str, environment.requirements)
    return [
        Step("install the engines for CUDA (several GB)", ((str(environment.python), *_PIP, "-r", packages),))
    ]


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


@contextmanager
def _only_one(environment: EngineEnvironment) -> Iterator[None]:
    """Two installations into one folder would ruin it; the kernel frees the lock when its holder dies."""
    with environment.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InstallError("another installation is running", log=environment.log) from error
        yield
