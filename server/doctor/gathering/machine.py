"""Python, system, memory, processor, clock, limits: of this process and of the kernel's own files."""

import ctypes
import os
import platform
import resource
import time
from pathlib import Path

from server.doctor.facts import Machine

CODE_ROOT = Path(__file__).resolve().parents[2]
_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_NO_LIMIT_BYTES = 1 << 60
_UNSYNCHRONIZED = 5  # TIME_ERROR of ntp_adjtime(3)
_TIMEX_BYTES = 512  # struct timex has 208; the kernel fills in what it knows


def look_at_machine() -> Machine:
    memory = _memory(Path("/proc/meminfo"))
    return Machine(
        system=_pretty_name(Path("/etc/os-release")),
        release=platform.release(),
        processor=platform.machine(),
        libc=" ".join(platform.libc_ver()),
        python=platform.python_version(),
        num_cpus=len(os.sched_getaffinity(0)),
        cpu_flags=_cpu_flags(Path("/proc/cpuinfo")),
        memory_bytes=memory.get("MemTotal", 0),
        memory_available_bytes=memory.get("MemAvailable", 0),
        memory_limit_bytes=_group_limit(),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        shared_memory_bytes=_size_of(Path("/dev/shm")),
        now=time.time(),
        code_time=max(file.stat().st_mtime for file in CODE_ROOT.rglob("*.py")),
        is_clock_synchronized=_is_clock_synchronized(),
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _pretty_name(file: Path) -> str:
    pairs = (line.partition("=") for line in _text(file).splitlines())
    names = (value.strip('"') for key, _, value in pairs if key == "PRETTY_NAME")
    return next(names, platform.system())


def _memory(file: Path) -> dict[str, int]:
    pairs = (line.split(":") for line in _text(file).splitlines())
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _cpu_flags(file: Path) -> frozenset[str]:
    """Empty where the kernel does not tell; x86 says `flags`, ARM `Features`."""
    for line in _text(file).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _group_limit() -> int | None:
    words = (_text(file).strip() for file in _GROUP_LIMITS)
    limits = [int(word) for word in words if word.isdigit()]
    return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)


def _size_of(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize


def _is_clock_synchronized() -> bool | None:
    """By the kernel, which whoever sets the clock tells; None where it may not be asked."""
    try:
        state = ctypes.CDLL(None).ntp_adjtime(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _UNSYNCHRONIZED)
