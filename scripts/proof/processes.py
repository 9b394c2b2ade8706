"""Processes found in /proc and waited for. Knows neither servers nor kills."""

import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def children(parent: int) -> list[int]:
    """Pids of the living children."""
    return [pid for pid, state, its_parent in _all() if its_parent == parent and state != "Z"]


def is_worker(pid: int) -> bool:
    """Whether it runs an engine, and not only watches one."""
    with contextlib.suppress(OSError):
        return b"engines.runtime" in (_PROC / str(pid) / "cmdline").read_bytes()
    return False


def wait_for_end(pid: int, timeout_s: float) -> bool:
    """Whether it ended within that time, all its threads with it. It need not be our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout_s)[0])
    finally:
        os.close(handle)


def wait_for_all(pids: list[int], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    return all(wait_for_end(pid, max(0.0, deadline - time.monotonic())) for pid in pids)


def rss_bytes(pid: int) -> int:
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _all() -> Iterator[tuple[int, str, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                yield int(entry.name), state, int(parent)
