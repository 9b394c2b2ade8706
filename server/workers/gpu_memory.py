"""What each worker holds on each GPU: the driver's processes, summed over process groups. Knows no backend."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence

from server.nvml import bytes_by_process

ByGroup = Mapping[str, Mapping[int, int]]  # device -> process group -> bytes


def gpu_bytes_by_group(read: Callable[[], Mapping[str, Mapping[int, int]]] = bytes_by_process) -> ByGroup:
    """Of processes that can be seen from here. Blocks for milliseconds."""
    return {device: _by_group(held) for device, held in read().items()}


def held_on(devices: Sequence[str], group: int, seen: ByGroup, *, told_bytes: int) -> dict[str, int]:
    """What a process group holds on each device, the fullest counting for all: a grant is for each of them alike.

    By what the driver has `seen`; where that is nothing, equal parts of what its engine told.
    """
    fullest = max(seen.get(device, {}).get(group, 0) for device in devices)
    return dict.fromkeys(devices, fullest or told_bytes // len(devices))


def _by_group(held: Mapping[int, int]) -> dict[int, int]:
    totals: dict[int, int] = {}
    for pid, size_bytes in held.items():
        with contextlib.suppress(OSError):  # it has ended, or its id is of another container
            group = os.getpgid(pid)
            totals[group] = totals.get(group, 0) + size_bytes
    return totals
