"""What the processes of a group hold of the host's memory, as Linux tells it; knows no engine.

Counted is PSS: pages of one process whole, shared ones (libraries, files in the page cache, memory from before a fork)
in equal parts. So the numbers of all workers add up to what is really taken, which sums of RSS exceed.
"""

import asyncio
import ctypes
import gc
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_REST = 50  # times as long as a look takes until the next: the kernel walks through every page


class HostMeter:
    """Looks at this process's group, in a thread and for at most a fiftieth of one processor's time."""

    def __init__(self) -> None:
        self._last_bytes = 0
        self._due_at = 0.0

    async def read(self) -> int:
        """Bytes as of the last look, which may be this one."""
        return self._last_bytes if time.monotonic() < self._due_at else await self.look()

    async def look(self) -> int:
        """Bytes as of now."""
        self._last_bytes, cpu_s = await asyncio.to_thread(_timed_look, os.getpgrp())
        self._due_at = time.monotonic() + _REST * cpu_s
        return self._last_bytes


def group_bytes(group_id: int) -> int:
    """Of all processes of the group that can be looked at. Blocks: milliseconds for every GiB."""
    return sum(process_bytes(process_id) for process_id in group_members(group_id))


def group_members(group_id: int) -> Iterator[int]:
    """Ids of the processes of a group, also of those whose parent is gone."""
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and _group_of(folder) == group_id:
            yield int(folder.name)


def process_bytes(process_id: int) -> int:
    """PSS, or RSS where the kernel keeps the first to itself; 0 for a process that is gone."""
    folder = _PROC / str(process_id)
    try:
        found = _PSS.search((folder / "smaps_rollup").read_text())
    except PermissionError:
        return _rss_bytes(folder)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * _KIB if found else 0


def settle() -> None:
    """Collect garbage, keep what is left from the collector, hand free memory of the allocator to the system. Blocks.

    A library of models is some 400,000 objects, which a collector looks through for half a second: kept from it, they
    delay neither requests nor waking. `gc.unfreeze` before something of them is to go.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)


def _timed_look(group_id: int) -> tuple[int, float]:
    started = time.thread_time()
    return group_bytes(group_id), time.thread_time() - started


def _rss_bytes(folder: Path) -> int:
    try:
        return int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _group_of(folder: Path) -> int | None:
    try:
        after_name = (folder / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or a stranger's that /proc hides
        return None
    return int(after_name[2])
