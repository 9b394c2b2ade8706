"""One engine environment on disk: where it is, whether it can be trusted. Knows not how it is installed."""

import enum
import hashlib
import json
from pathlib import Path
from typing import Protocol

from engines.contract.errors import EngineError, ErrorCode
from server.engine_envs.flavour import FLAVOURS, detect_flavour

REQUIREMENTS_DIR = Path(__file__).resolve().parents[2] / "engines" / "requirements"
REQUIREMENT_FILES = {"cpu": ("cpu.txt", "cpu-nodeps.txt"), "cuda": ("cuda.txt",)}
INSTALL_COMMAND = "hearth engines install"


class State(enum.StrEnum):
    """Only `current` is used; anything else is made anew from nothing by the next installation."""

    MISSING = "missing"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"
    CURRENT = "current"


class EngineSettings(Protocol):
    """What this package needs of the settings."""

    @property
    def engines_dir(self) -> Path: ...

    @property
    def engines_python(self) -> Path | None: ...


class EngineEnvironment:
    """The virtual environment `<engines_dir>/<flavour>`.

    A stamp with a digest of the requirement files is its last file to be written, so a folder without one was
    interrupted.
    """

    def __init__(self, flavour: str, engines_dir: Path, requirements_dir: Path = REQUIREMENTS_DIR) -> None:
        self.flavour = flavour
        self.folder = engines_dir.absolute() / flavour
        self.python = self.folder / "bin" / "python"
        self.log = engines_dir.absolute() / f"{flavour}-install.log"
        self.lock = engines_dir.absolute() / f"{flavour}.lock"
        self.requirements = tuple(requirements_dir / name for name in REQUIREMENT_FILES[flavour])
        self._stamp = self.folder / "hearth-stamp.json"

    def state(self) -> State:
        """Reads a few small files; takes well under a millisecond."""
        if not self.folder.exists():
            return State.MISSING
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return State.INCOMPLETE
        if not self.python.exists():
            return State.INCOMPLETE
        return State.CURRENT if stamp == self._content() else State.OUTDATED

    def mark_incomplete(self) -> None:
        self._stamp.unlink(missing_ok=True)

    def mark_current(self) -> None:
        unfinished = self._stamp.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._content()), encoding="utf-8")
        unfinished.replace(self._stamp)

    def _content(self) -> dict[str, str]:
        digest = hashlib.sha256()
        for file in self.requirements:
            digest.update(file.read_bytes())
        return {"requirements": digest.hexdigest()}


def environments(engines_dir: Path) -> list[EngineEnvironment]:
    return [EngineEnvironment(flavour, engines_dir) for flavour in FLAVOURS]


def python_for(engine: str, settings: EngineSettings) -> Path:
    """The interpreter that runs `engine`. Raises EngineError(MODEL_UNAVAILABLE) when it cannot be used."""
    if settings.engines_python is not None:
        if not settings.engines_python.exists():
            raise _unavailable(engine, f"engines_python {settings.engines_python} does not exist")
        return settings.engines_python.absolute()
    environment = EngineEnvironment(detect_flavour(), settings.engines_dir)
    state = environment.state()
    if state in (State.MISSING, State.INCOMPLETE):
        raise _unavailable(
            engine, f"its {environment.flavour} environment is {state}: run `{INSTALL_COMMAND}`"
        )
    return environment.python


def _unavailable(engine: str, reason: str) -> EngineError:
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, f"engine {engine} cannot run: {reason}")
