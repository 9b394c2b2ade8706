"""Places where a test of durability may kill this process; free when nothing is armed. Knows no caller.

The one exception to "no module-level state": what is armed belongs to the process, as the signal that ends it does.
"""

import itertools
import os
import signal
from collections.abc import Iterator

FAILPOINTS = frozenset(
    {
        "upload.before_rename",
        "upload.after_rename",
        "upload.after_row",
        "batch.before_row",
        "batch.after_row",
        "batch.validating",
        "batch.validated",
        "line.claimed",
        "line.before_commit",
        "line.after_commit",
        "render.before_fsync",
        "render.after_fsync",
        "render.after_rename",
        "render.published",
        "cancel.flagged",
        "expiry.found",
        "lease.renewed",
        "sweep.deleted",
    }
)
_KILL = "kill"


class _Armed:
    """The reach that kills. Threads may reach at once: `next` of a count is one step of the interpreter."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self._reaches: Iterator[int] = itertools.count(1)

    def is_due(self) -> bool:
        return next(self._reaches) == self._nth


_armed: dict[str, _Armed] = {}


def arm(text: str | None) -> None:
    """Arm what `NAME:NTH:kill,...` says and nothing else; reaches are counted from here. Raises ValueError."""
    found = dict(map(_parse, filter(None, map(str.strip, (text or "").split(",")))))
    _armed.clear()
    _armed.update(found)


def reach(name: str) -> None:
    """May not return: then the process is killed with SIGKILL, as if by the kernel."""
    if _armed and name in _armed and _armed[name].is_due():
        os.kill(os.getpid(), signal.SIGKILL)


def _parse(entry: str) -> tuple[str, _Armed]:
    name, _, rest = entry.partition(":")
    nth, _, action = rest.partition(":")
    if name not in FAILPOINTS:
        raise ValueError(f"there is no failpoint {name!r}")
    if not nth.isdecimal() or int(nth) < 1 or action != _KILL:
        raise ValueError(f"{name} must be spelt {name}:NTH:{_KILL}")
    return name, _Armed(int(nth))
