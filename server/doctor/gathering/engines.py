"""The engines' environment that this machine would use: is it whole, does it import, is it what the locks say."""

import json
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from server.doctor.facts import Engines, Mismatch
from server.engine_envs import EngineEnvironment, State, detect_flavour
from server.engine_envs.imports import read_imports, try_imports
from server.engine_envs.requirements import pins
from server.settings import Settings

IMPORTS_TIMEOUT_S = 180.0
VERSIONS_TIMEOUT_S = 30.0
SERVER_LOCK = Path(__file__).resolve().parents[3] / "requirements.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_VERSIONS_SCRIPT = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def look_at_engines(settings: Settings, *, with_imports: bool) -> Engines:
    """Blocks for as long as the libraries take to import, if they are to be tried: half a minute and more."""
    environment = EngineEnvironment(detect_flavour(), settings.engines_dir)
    current, state = environment.current(), environment.state()
    python = settings.engines_python or (current.python if current else None)
    if settings.engines_python is not None:
        state = State.COMPLETE if settings.engines_python.exists() else State.MISSING
    can_run = python is not None and state in (State.COMPLETE, State.OUTDATED)
    failures: tuple[tuple[str, str], ...] | None = None
    if python is not None and can_run and with_imports:
        tried = try_imports(python, read_imports(environment.imports), IMPORTS_TIMEOUT_S)
        failures = tuple((failure.module, failure.error) for failure in tried)
    has_locks = python is not None and settings.engines_python is None and state is State.COMPLETE
    return Engines(
        flavour=environment.flavour,
        given=settings.engines_python,
        name=None if current is None else current.name,
        state=state,
        is_chosen=environment.is_chosen(),
        failures=failures,
        mismatches=_mismatches_of(environment, python) if python is not None and has_locks else (),
    )


def server_mismatches() -> tuple[Mismatch, ...]:
    """Between the server's own packages and its lock; what is not installed may not be meant for this system."""
    if not SERVER_LOCK.exists():
        return ()
    locked = dict(_PINNED.findall(SERVER_LOCK.read_text(encoding="utf-8")))
    installed = {item.metadata["Name"]: item.version for item in metadata.distributions()}
    return tuple(item for item in compare(locked, installed) if item.installed is not None)


def compare(locked: Mapping[str, str], installed: Mapping[str, str]) -> tuple[Mismatch, ...]:
    """By names as registries compare them. A local part that the lock leaves out does not count: `2.0+cpu` is `2.0`."""
    found = {_plain(name): version for name, version in installed.items()}
    pairs = ((name, version, found.get(_plain(name))) for name, version in locked.items())
    return tuple(Mismatch(*pair) for pair in pairs if not _is_same(pair[1], pair[2]))


def _mismatches_of(environment: EngineEnvironment, python: Path) -> tuple[Mismatch, ...]:
    try:
        output = subprocess.run(
            [str(python), "-I", "-c", _VERSIONS_SCRIPT],
            capture_output=True,
            timeout=VERSIONS_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # the imports tell that it cannot run
    return compare(pins(environment.flavour, environment.requirements), json.loads(output))


def _is_same(locked: str, installed: str | None) -> bool:
    return installed == locked or (installed is not None and installed.split("+")[0] == locked)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
