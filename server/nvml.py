"""What the NVIDIA driver tells of its GPUs, through its own library. Without a driver there are none.

Calls of NVML, documented by NVIDIA as stable across driver versions: nvmlInit_v2, nvmlShutdown, nvmlDeviceGetCount_v2,
nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetMemoryInfo, nvmlDeviceGetComputeRunningProcesses_v3,
nvmlSystemGetCudaDriverVersion_v2. Each function here opens the library anew and blocks for milliseconds.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

DRIVER_LIBRARY = "libnvidia-ml.so.1"
_TOO_SMALL = 7  # NVML_ERROR_INSUFFICIENT_SIZE: the number that it takes is told
_NOT_TOLD = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE
_SPARE = 8  # processes that may come between the question how many there are and the one which


class Gpu(NamedTuple):
    number: int
    total_bytes: int
    free_bytes: int


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class _Process(ctypes.Structure):
    """nvmlProcessInfo_t since version 2 of the call."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance_id", ctypes.c_uint),
        ("compute_instance_id", ctypes.c_uint),
    )


def count_gpus(library: str = DRIVER_LIBRARY) -> int:
    """What the driver itself reports: its files alone are also there in containers that were given no GPU."""
    with _driver(library) as nvml:
        return 0 if nvml is None else _count(nvml)


def read_gpus(library: str = DRIVER_LIBRARY) -> list[Gpu]:
    """All GPUs with their memory now; empty where there is no driver, or it fails."""
    gpus: list[Gpu] = []
    with _driver(library) as nvml:
        if nvml is None:
            return gpus
        for number, handle in _handles(nvml):
            memory = _Memory()
            if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
                gpus.append(Gpu(number, memory.total, memory.free))
    return gpus


def bytes_by_process(library: str = DRIVER_LIBRARY) -> dict[str, dict[int, int]]:
    """What each process holds on each GPU, by `cuda:<number>` and process id.

    Processes whose memory the driver does not tell are left out, and so are, in most containers, all: it knows them by
    the ids of the host.
    """
    with _driver(library) as nvml:
        if nvml is None:
            return {}
        return {f"cuda:{number}": _processes(nvml, handle) for number, handle in _handles(nvml)}


def cuda_version(library: str = DRIVER_LIBRARY) -> tuple[int, int] | None:
    """The newest CUDA that the driver can run."""
    with _driver(library) as nvml:
        version = ctypes.c_int()
        if nvml is None or nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(version)) != 0:
            return None
        return version.value // 1000, version.value % 1000 // 10


@contextmanager
def _driver(library: str) -> Iterator[ctypes.CDLL | None]:
    """The library, ready to be asked; None where there is none or it cannot talk to its driver."""
    try:
        nvml = ctypes.CDLL(library)
        is_ready = nvml.nvmlInit_v2() == 0
    except (OSError, AttributeError):
        is_ready = False
    if not is_ready:
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _count(nvml: ctypes.CDLL) -> int:
    count = ctypes.c_uint()
    failure = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    return 0 if failure else count.value


def _handles(nvml: ctypes.CDLL) -> Iterator[tuple[int, ctypes.c_void_p]]:
    for number in range(_count(nvml)):
        handle = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)) == 0:
            yield number, handle


def _processes(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> dict[int, int]:
    try:
        ask = nvml.nvmlDeviceGetComputeRunningProcesses_v3
    except AttributeError:  # a driver before 510
        return {}
    count = ctypes.c_uint(0)
    if ask(handle, ctypes.byref(count), None) != _TOO_SMALL:
        return {}
    count = ctypes.c_uint(count.value + _SPARE)
    found = (_Process * count.value)()
    if ask(handle, ctypes.byref(count), found) != 0:
        return {}
    held: dict[int, int] = {}
    for process in found[: count.value]:
        if process.used_bytes != _NOT_TOLD:  # a process may be there once for each of its instances
            held[process.pid] = held.get(process.pid, 0) + process.used_bytes
    return held
