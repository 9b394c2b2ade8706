"""Which kind of hardware the engines should be installed for. Asks the NVIDIA driver and nothing else."""

from server.nvml import count_gpus

FLAVOURS = ("cpu", "cuda")


def detect_flavour() -> str:
    """`cuda` if the driver reports at least one GPU, else `cpu`. Without a driver it takes a millisecond."""
    return "cuda" if count_gpus() else "cpu"
