"""The versions of one flavour on disk and which of them is in use. Knows not how one is installed."""

import enum
import itertools
import os
import shutil
from pathlib import Path
from typing import Protocol

from engines.contract.errors import EngineError, ErrorCode
from server.engine_envs.flavour import FLAVOURS, detect_flavour
from server.engine_envs.requirements import IMPORTS_FILE, REQUIREMENTS_DIR, digest_of, requirement_files
from server.engine_envs.running import processes_in
from server.engine_envs.version import Version

INSTALL_COMMAND = "hearth engines install"
_DIGITS = 12


class State(enum.StrEnum):
    """`complete` is made of the requirements of this release, `outdated` of others; both can be used."""

    MISSING = "missing"
    BROKEN = "broken"
    OUTDATED = "outdated"
    COMPLETE = "complete"


class VersionError(Exception):
    """The version cannot be used or removed; the message says why."""


class EngineSettings(Protocol):
    """What this package needs of the settings."""

    @property
    def engines_dir(self) -> Path: ...

    @property
    def engines_python(self) -> Path | None: ...


class EngineEnvironment:
    """Side by side `<engines_dir>/<flavour>-<digest>`; the link `<engines_dir>/<flavour>` leads to the current one.

    Only a complete version ever becomes current, by renaming a link onto the link. Releases before had a folder in
    the place of the link; it is a version like others until `adopt` gives it a name of its own.
    """

    def __init__(self, flavour: str, engines_dir: Path, requirements_dir: Path = REQUIREMENTS_DIR) -> None:
        self.flavour = flavour
        self.folder = engines_dir.absolute()
        self.pointer = self.folder / flavour
        self.log = self.folder / f"{flavour}-install.log"
        self.lock = self.folder / f"{flavour}.lock"
        self.requirements = requirement_files(flavour, requirements_dir)
        self.imports = requirements_dir / IMPORTS_FILE
        self._choice = self.folder / f"{flavour}.chosen"

    def current(self) -> Version | None:
        """The one in use, under its own name: a worker that runs keeps it when another becomes current."""
        if self.pointer.is_symlink():
            return Version(self.flavour, self.folder / os.readlink(self.pointer))
        return Version(self.flavour, self.pointer) if self.pointer.exists() else None

    def state(self) -> State:
        """Of the current version. Reads a few small files; takes well under a millisecond."""
        current = self.current()
        return State.MISSING if current is None else self.state_of(current)

    def state_of(self, version: Version) -> State:
        if not version.folder.exists():
            return State.MISSING
        digest = version.digest()
        if digest is None:
            return State.BROKEN
        return State.COMPLETE if digest == self.digest() else State.OUTDATED

    def digest(self) -> str:
        """Of the requirements of this release."""
        return digest_of(self.requirements)

    def versions(self) -> list[Version]:
        """Every one on disk, by name."""
        found = sorted(self.folder.glob(f"{self.flavour}-*"))
        if self.pointer.exists() and not self.pointer.is_symlink():
            found.append(self.pointer)
        return [Version(self.flavour, folder) for folder in found if folder.is_dir()]

    def is_chosen(self) -> bool:
        """Whether `choose` named the current version and the requirements have not changed since."""
        try:
            return self._choice.read_text(encoding="utf-8") == self.digest()
        except OSError:
            return False

    def wanted(self, *, anew: bool = False) -> Version:
        """Where the requirements of this release are installed; `anew` never names a folder that is complete."""
        name = f"{self.flavour}-{self.digest()[:_DIGITS]}"
        folders = (self.folder / (f"{name}.{n}" if n else name) for n in itertools.count())
        found = (Version(self.flavour, folder) for folder in folders)
        return next(version for version in found if not anew or self.state_of(version) is not State.COMPLETE)

    def adopt(self) -> None:
        """Give the folder that stands in the place of the link a name of its own; remove it if it is broken.

        Interrupted between its two steps, the version is found under its name by the next installation.
        """
        if self.pointer.is_symlink() or not self.pointer.exists():
            return
        digest = Version(self.flavour, self.pointer).digest()
        if digest is None:
            shutil.rmtree(self.pointer)
            return
        target = self.folder / f"{self.flavour}-{digest[:_DIGITS]}"
        self.pointer.rename(target)  # its scripts name the old path, which the link keeps good
        self.switch(Version(self.flavour, target))

    def switch(self, version: Version) -> None:
        """Make it the current one, in one step."""
        fresh = self.folder / f"{self.flavour}.next"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(version.name)
        fresh.replace(self.pointer)
        self._choice.unlink(missing_ok=True)

    def choose(self, version: Version) -> None:
        """`switch`, and keep it so until the requirements change. Raises VersionError if it is broken."""
        if self.state_of(version) not in (State.COMPLETE, State.OUTDATED):
            raise VersionError(f"{version.name} is {self.state_of(version)}: run `{INSTALL_COMMAND}`")
        self.switch(version)
        if self.state_of(version) is State.OUTDATED:
            self._choice.write_text(self.digest(), encoding="utf-8")

    def remove(self, version: Version, *, force: bool = False) -> None:
        """Raises VersionError where processes run in it, or where it is the current one without `force`."""
        is_current = version == self.current()
        if is_current and not force:
            raise VersionError(f"{version.name} is the current version; --force removes it all the same")
        if pids := processes_in(version.folder):
            shown = ", ".join(map(str, pids))
            raise VersionError(f"{version.name} runs in process {shown}: stop its models first")
        if is_current and self.pointer.is_symlink():
            self.pointer.unlink()
        version.mark_incomplete()  # what an interruption leaves is broken, and nothing else
        shutil.rmtree(version.folder)


def environments(engines_dir: Path) -> list[EngineEnvironment]:
    return [EngineEnvironment(flavour, engines_dir) for flavour in FLAVOURS]


def python_for(engine: str, settings: EngineSettings) -> Path:
    """The interpreter that runs `engine`. Raises EngineError(MODEL_UNAVAILABLE) when it cannot be used."""
    if settings.engines_python is not None:
        if not settings.engines_python.exists():
            raise _unavailable(engine, f"engines_python {settings.engines_python} does not exist")
        return settings.engines_python.absolute()
    environment = EngineEnvironment(detect_flavour(), settings.engines_dir)
    current, state = environment.current(), environment.state()
    if current is None or state in (State.MISSING, State.BROKEN):
        raise _unavailable(
            engine, f"its {environment.flavour} environment is {state}: run `{INSTALL_COMMAND}`"
        )
    return current.python


def _unavailable(engine: str, reason: str) -> EngineError:
    return EngineError(ErrorCode.MODEL_UNAVAILABLE, f"engine {engine} cannot run: {reason}")
