"""Carries out a Dockerfile in a folder that stands for the root. All stages share it: their base is one here."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dockerfile.reading import Instruction, Stage

# Paths of the image; whatever else is absolute is a program of this machine.
_IMAGE_PATH = re.compile(r"(?<![\w./-])/(?=(opt|data|var|root)(/|\b))")
# What changes the machine is tried, not done: apt simulates, users go into files of the folder.
_SHIMS = {
    "python": 'exec "$HERE_PYTHON" "$@"',
    "apt-get": '[ "$1" = update ] && exit 0\n'
    'if /usr/bin/apt-get --simulate "$@" >/dev/null 2>&1; then exit 0; fi\n'
    'echo "not exercised: apt-get $*"',
    "groupadd": 'if [ "$(id -u)" = 0 ]; then exec /usr/sbin/groupadd --prefix "$IMAGE" "$@"; fi\n'
    'echo "not exercised: groupadd $*"',
    "useradd": 'if [ "$(id -u)" = 0 ]; then exec /usr/sbin/useradd --prefix "$IMAGE" "$@"; fi\n'
    'echo "not exercised: useradd $*"',
    "chown": 'if [ "$(id -u)" = 0 ]; then exec /bin/chown "$@"; fi\necho "not exercised: chown $*"',
}


class ExerciseError(Exception):
    """An instruction failed; the message names its line."""


class Image:
    """A folder in the place of an image's root. `flavour` replaces `cuda`, which this machine may not have."""

    def __init__(self, root: Path, source: Path, *, flavour: str, environment: Mapping[str, str]) -> None:
        self._root = root
        self._source = source
        self._flavour = flavour
        self._folder = "/"
        self._environment = dict(environment)
        self._make_machine()

    def carry_out(self, stages: list[Stage], say: Callable[[str], None]) -> None:
        """Raises ExerciseError at the first instruction that fails."""
        for stage in stages:
            for instruction in stage.instructions:
                begun = time.monotonic()
                self._carry_out(instruction, say)
                if instruction.keyword in ("RUN", "COPY", "ENTRYPOINT"):
                    took_s = time.monotonic() - begun
                    say(f"{took_s:5.1f} s  {stage.name}: {instruction.keyword} {instruction.rest[:80]}")

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """A command as it would run in the image."""
        return subprocess.run(
            [self.rewritten(word) for word in command],
            cwd=self.path(self._folder),
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def path(self, inside: str) -> Path:
        """Where a path of the image lies on this machine."""
        absolute = inside if inside.startswith("/") else f"{self._folder}/{inside}"
        return self._root / absolute.strip("/")

    def rewritten(self, text: str) -> str:
        return _IMAGE_PATH.sub(f"{self._root}/", text)

    def _carry_out(self, instruction: Instruction, say: Callable[[str], None]) -> None:
        match instruction.keyword:
            case "WORKDIR":
                self._folder = instruction.rest
                self.path(self._folder).mkdir(parents=True, exist_ok=True)
            case "ENV":
                self._environment |= {
                    name: self.rewritten(value) for name, value in instruction.pairs().items()
                }
            case "COPY":
                self._copy(instruction)
            case "RUN":
                command = instruction.rest.replace("--flavour cuda", f"--flavour {self._flavour}")
                self._succeed(instruction, ["/bin/sh", "-ec", command], say)
            case "ENTRYPOINT":
                self._succeed(instruction, [*instruction.words(), "--version"], say)

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.words()
        for source in sources:
            if "from" in instruction.flags:
                if (
                    not self.path(source).exists()
                    or self.path(source).resolve() != self.path(target).resolve()
                ):
                    raise ExerciseError(
                        f"line {instruction.line}: {source} is not there, or moves, which breaks it"
                    )
            elif (self._source / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(self._source / source, self.path(target), dirs_exist_ok=True, ignore=ignored)
            else:
                shutil.copyfile(self._source / source, self.path(f"{target}/{source}"))

    def _succeed(self, instruction: Instruction, command: list[str], say: Callable[[str], None]) -> None:
        result = self.run(command)
        for line in result.stdout.splitlines():
            if line.startswith("not exercised"):
                say(line)
        if result.returncode:
            said = (result.stdout + result.stderr)[-4000:]
            raise ExerciseError(f"line {instruction.line}: status {result.returncode}\n{said}")

    def _make_machine(self) -> None:
        """Programs and files that the base image would have."""
        shims = self._root / "shims"
        for folder in (shims, self._root / "etc", self._root / "var/lib/apt/lists"):
            folder.mkdir(parents=True)
        for name, script in _SHIMS.items():
            (shims / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (shims / name).chmod(0o755)
        for name in ("passwd", "group", "shadow", "gshadow"):
            (self._root / "etc" / name).touch()
        self._environment |= {
            "PATH": f"{shims}{os.pathsep}{self._environment.get('PATH', os.defpath)}",
            "HERE_PYTHON": sys.executable,
            "IMAGE": str(self._root),
        }
