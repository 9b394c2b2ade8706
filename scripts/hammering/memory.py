"""What workers hold of the host's memory, read from /proc again and again. Knows neither ledger nor API.

A worker leads its process group, so everything it starts is counted with it, also when its parent is gone.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

EVERY_S = 0.15
_PROC = Path("/proc")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Identity(NamedTuple):
    """A process, not to be taken for a later one with the same number."""

    pid: int
    started_ticks: int


@dataclass(frozen=True)
class Sample:
    """`pss_bytes` and `rss_bytes` by the leader of each worker's process group."""

    at: float
    pss_bytes: Mapping[int, int]
    rss_bytes: Mapping[int, int]

    @property
    def total_bytes(self) -> int:
        """PSS counts a shared page once over all who share it, so this is what is really taken."""
        return sum(self.pss_bytes.values())


class Sampler:
    """Looks at the workers of one server, in a thread. `seen` are all processes that were ever found."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.seen: dict[Identity, str] = {}
        self.groups: set[int] = set()
        self._server_pid = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self, server_pid: int) -> None:
        self._server_pid = server_pid
        self._thread.start()

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()

    def left_over(self) -> dict[Identity, str]:
        """Processes that were seen and still are, or that have joined a worker's group since."""
        return {
            Identity(pid, started): command
            for pid, _, group, started, command in _all()
            if group in self.groups or (pid, started) in self.seen
        }

    def _work(self) -> None:
        due_at = time.monotonic()
        while not self._ends.is_set():
            self.samples.append(self._look())
            due_at = max(due_at + EVERY_S, time.monotonic())
            self._ends.wait(due_at - time.monotonic())

    def _look(self) -> Sample:
        at, pss, rss = time.monotonic(), {}, {}
        found = list(_all())
        self.groups |= {
            pid for pid, parent, group, _, _ in found if parent == self._server_pid and pid == group
        }
        for pid, _, group, started, command in found:
            if group in self.groups:
                self.seen[Identity(pid, started)] = command
                size, resident = _sizes(pid)
                pss[group] = pss.get(group, 0) + size
                rss[group] = rss.get(group, 0) + resident
        return Sample(at, pss, rss)


def _sizes(pid: int) -> tuple[int, int]:
    """PSS and RSS in bytes; nothing of a process that has ended."""
    with contextlib.suppress(OSError):
        found = _PSS.search((_PROC / str(pid) / "smaps_rollup").read_bytes())
        resident = int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
        return (int(found[1]) * 1024 if found else 0), resident
    return 0, 0


def _all() -> Iterator[tuple[int, int, int, int, str]]:
    """Pid, parent, group, start and name of every process that does not only wait to be reaped."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                before, _, after = (entry / "stat").read_text().rpartition(")")
                fields = after.split()
                if fields[0] not in "ZX":
                    yield (
                        int(entry.name),
                        int(fields[1]),
                        int(fields[2]),
                        int(fields[19]),
                        before.partition("(")[2],
                    )
