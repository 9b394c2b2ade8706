"""Judges system, memory, processor, clock and limits."""

from collections.abc import Iterator

from server.doctor.facts import Machine
from server.doctor.verdict import Finding, ok, problem, warning

GIB = 2**30
LEAST_MEMORY_BYTES = 2 * GIB
GOOD_MEMORY_BYTES = 8 * GIB
GOOD_OPEN_FILES = 4096
GOOD_SHARED_MEMORY_BYTES = GIB
PROCESSORS = frozenset({"x86_64", "aarch64"})
DAY_S = 86400.0


def judge_machine(machine: Machine, *, has_gpu: bool) -> Iterator[Finding]:
    yield _system(machine)
    yield _memory(machine)
    yield _processor(machine, has_gpu=has_gpu)
    yield _clock(machine)
    yield _open_files(machine)
    yield _shared_memory(machine)


def _system(machine: Machine) -> Finding:
    found = f"Python {machine.python}, {machine.system}, {machine.libc}, Linux {machine.release}"
    if not machine.libc.startswith("glibc"):
        return problem("system", found, "use a system with glibc 2.28 or newer: the engines' wheels need it")
    return ok("system", found)


def _memory(machine: Machine) -> Finding:
    usable = min(machine.memory_bytes, machine.memory_limit_bytes or machine.memory_bytes)
    found = f"{usable / GIB:.1f} GiB, {machine.memory_available_bytes / GIB:.1f} GiB free"
    if usable < machine.memory_bytes:
        found += f" (limited, of {machine.memory_bytes / GIB:.1f} GiB)"
    if usable < LEAST_MEMORY_BYTES:
        return problem("memory", found, "give it 2 GiB or more (in a container: --memory)")
    if usable < GOOD_MEMORY_BYTES:
        return warning("memory", found, "give it 8 GiB or more, or serve small models only")
    return ok("memory", found)


def _processor(machine: Machine, *, has_gpu: bool) -> Finding:
    vectors = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in machine.cpu_flags]
    found = f"{machine.num_cpus} x {machine.processor} {' '.join(vectors)}".rstrip()
    if machine.processor not in PROCESSORS:
        return problem("processor", found, "use x86-64 or ARM64: there are no wheels for others")
    if machine.processor == "x86_64" and "avx2" not in machine.cpu_flags:
        fix = "use a processor with AVX2 (in a virtual machine: CPU type `host`)"
        return warning("processor", found, fix) if has_gpu else problem("processor", found, fix)
    return ok("processor", found)


def _clock(machine: Machine) -> Finding:
    if machine.now < machine.code_time - DAY_S:
        return problem(
            "clock",
            "is behind the date of Hearth's own files",
            "set the clock: timedatectl set-ntp true",
        )
    if machine.is_clock_synchronized is False:
        return warning(
            "clock",
            "is not synchronized; links and keys end by it",
            "timedatectl set-ntp true, or chronyd (in a container: on its host)",
        )
    return ok("clock", "synchronized" if machine.is_clock_synchronized else "plausible")


def _open_files(machine: Machine) -> Finding:
    found = f"{machine.open_files} at most" if machine.open_files >= 0 else "without limit"
    if 0 <= machine.open_files < GOOD_OPEN_FILES:
        fix = "ulimit -n 65536, or LimitNOFILE=65536 in the unit: each connection takes one"
        return warning("open files", found, fix)
    return ok("open files", found)


def _shared_memory(machine: Machine) -> Finding:
    if machine.shared_memory_bytes is None:
        return warning("/dev/shm", "is not there", "mount a tmpfs of 1 GiB or more on /dev/shm")
    found = f"{machine.shared_memory_bytes / GIB:.2f} GiB"
    if machine.shared_memory_bytes < GOOD_SHARED_MEMORY_BYTES:
        return warning("/dev/shm", found, "give it 1 GiB or more (docker run --shm-size=8g)")
    return ok("/dev/shm", found)
