"""CPU time of processes and of the machine, from /proc. Knows no server."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class CpuSample:
    """CPU seconds so far: by role within the tree of one process, and of the whole machine."""

    by_role: dict[str, float]
    machine_s: float


def sample(root: int) -> CpuSample:
    """Roles are `api` for the root itself, `worker`, `engine core`, and `other` for any other descendant."""
    by_role: dict[str, float] = {}
    for pid in _descendants(root):
        try:
            fields = _stat_fields(pid)
            role = "api" if pid == root else _role(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        by_role[role] = by_role.get(role, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return CpuSample(by_role, _machine_s())


def used(before: CpuSample, after: CpuSample) -> dict[str, float]:
    """CPU seconds by role between two samples, roles that did nothing left out."""
    spent = {role: s - before.by_role.get(role, 0.0) for role, s in after.by_role.items()}
    return {role: s for role, s in spent.items() if s > 0}


def load_average() -> float:
    """Over the last minute."""
    return os.getloadavg()[0]


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat_fields(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat after the name, see proc(5): state is 0, parent 1, utime 11, stime 12."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _role(pid: int) -> str:
    command = (_PROC / str(pid) / "cmdline").read_bytes()
    if b"engines.runtime" in command:
        return "worker"
    return "engine core" if b"EngineCore" in command else "other"


def _machine_s() -> float:
    """Seconds that all cores spent on anything but idling and waiting for disks."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, (_PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S
