"""The machine that a bundle is for, as pip names it. Asks nothing of the machine it runs on."""

import re
from typing import NamedTuple

_PLATFORM = re.compile(r"manylinux_2_(?P<minor>\d+)_(?P<machine>x86_64|aarch64)")
_PYTHON = re.compile(r"3\.\d+")
_OLDEST_MINOR = 5
_LEGACY = {
    "x86_64": {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"},
    "aarch64": {17: "manylinux2014"},
}


class TargetError(Exception):
    """No such machine; the message names what would be one."""


class Target(NamedTuple):
    """`python` as `3.12`, `platform` as `manylinux_2_34_x86_64`: Linux with glibc 2.34 or newer."""

    python: str
    platform: str

    @property
    def machine(self) -> str:
        return self.platform.split("_", 3)[3]

    def pip_arguments(self) -> tuple[str, ...]:
        """Wheels only, of the target's Python, for its C library and every older one: pip takes names literally."""
        tags = [argument for tag in self._tags() for argument in ("--platform", tag)]
        return ("--only-binary", ":all:", "--implementation", "cp", "--python-version", self.python, *tags)

    def _tags(self) -> list[str]:
        newest = int(self.platform.split("_")[2])
        tags = [f"linux_{self.machine}"]
        for minor in range(newest, _OLDEST_MINOR - 1, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if legacy := _LEGACY[self.machine].get(minor):
                tags.append(f"{legacy}_{self.machine}")
        return tags


def parse_target(python: str, platform: str) -> Target:
    """Raises TargetError."""
    if not _PYTHON.fullmatch(python):
        raise TargetError(f"python {python}: must be a version such as 3.12")
    if not _PLATFORM.fullmatch(platform):
        raise TargetError(
            f"platform {platform}: must be one such as manylinux_2_34_x86_64 or manylinux_2_34_aarch64"
        )
    return Target(python, platform)
