"""What Linux tells of process groups: how much memory they hold, and who is still in them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class GroupMemory(NamedTuple):
    """`anonymous_bytes` are those of `resident_bytes` that no file backs and that are nobody else's.

    Pages of libraries and mapped weights count in `resident_bytes` once for each process that maps them.
    """

    resident_bytes: int = 0
    anonymous_bytes: int = 0


def memory_by_group() -> dict[int, GroupMemory]:
    """Of every process group of this machine. Blocks for milliseconds."""
    totals: dict[int, GroupMemory] = {}
    for process_id, group_id, _ in _processes():
        with contextlib.suppress(OSError, ValueError):  # it has ended since
            fields = Path(f"/proc/{process_id}/statm").read_text().split()
            resident, shared = int(fields[1]) * _PAGE_BYTES, int(fields[2]) * _PAGE_BYTES
            before = totals.get(group_id, GroupMemory())
            totals[group_id] = GroupMemory(
                before.resident_bytes + resident, before.anonymous_bytes + resident - shared
            )
    return totals


def members(group_id: int) -> dict[int, str]:
    """Processes of a group by id, with the names of their programs; without those that only wait to be reaped."""
    found = ((process_id, name) for process_id, group, name in _processes() if group == group_id)
    return dict(found)


def _processes() -> Iterator[tuple[int, int, str]]:
    """Id, group and name of every living process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            before, _, after = (folder / "stat").read_text().rpartition(")")
            state, _, group_id, *_ = after.split()
            if state not in "ZX":
                yield int(folder.name), int(group_id), before.partition("(")[2]
