"""Which kind of hardware the engines should be installed for. Asks the NVIDIA driver and nothing else."""

import ctypes

FLAVOURS = ("cpu", "cuda")
DRIVER_LIBRARY = "libnvidia-ml.so.1"


def detect_flavour() -> str:
    """`cuda` if the driver reports at least one GPU, else `cpu`. Without a driver it takes a millisecond."""
    return "cuda" if count_gpus() else "cpu"


def count_gpus() -> int:
    """What the driver itself reports: its files alone are also there in containers that were given no GPU."""
    try:
        driver = ctypes.CDLL(DRIVER_LIBRARY)
    except OSError:
        return 0
    if driver.nvmlInit_v2() != 0:
        return 0
    count = ctypes.c_uint(0)
    failure = driver.nvmlDeviceGetCount_v2(ctypes.byref(count))
    driver.nvmlShutdown()
    return 0 if failure else count.value
