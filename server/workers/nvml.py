"""What the NVIDIA driver tells of its GPUs, through its own library. Without a driver there are none.

Calls of NVML, documented by NVIDIA as stable across driver versions: nvmlInit_v2, nvmlDeviceGetCount_v2,
nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetMemoryInfo.
"""

import ctypes
from typing import NamedTuple

from server.engine_envs.flavour import DRIVER_LIBRARY


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


def read_gpus(library: str = DRIVER_LIBRARY) -> list[Gpu]:
    """All GPUs with their memory now; empty where there is no driver, or it fails. Blocks for milliseconds."""
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2() != 0:
            return []
    except (OSError, AttributeError):
        return []
    try:
        return _read_all(nvml)
    finally:
        nvml.nvmlShutdown()


def _read_all(nvml: ctypes.CDLL) -> list[Gpu]:
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    gpus = []
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), _Memory()
        is_known = nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0
        if is_known and nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
            gpus.append(Gpu(index, memory.total, memory.free))
    return gpus
