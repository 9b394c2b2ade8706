"""From a spec's `device` and an option `dtype` to what PyTorch understands. Imports torch inside functions only."""

import gc
from typing import Any, Literal

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime import environment

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def choose_device(device: str) -> str:
    """`cpu` or `cuda:0`: the worker sees only the GPUs of its spec, so the first one is the right one.

    Raises EngineError(VALIDATION_ERROR) if a GPU is asked for and there is none.
    """
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise EngineError(
            ErrorCode.VALIDATION_ERROR, f"device {device} is configured, but PyTorch sees no GPU"
        )
    return "cuda:0"


def choose_dtype(dtype: Dtype, device: str) -> Any:
    """A `torch.dtype`. `auto` is bfloat16 on a GPU that computes in it, float16 on an older one, float32 on a CPU."""
    import torch

    if dtype != "auto":
        return getattr(torch, dtype)
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def limit_threads(num_threads: int | None, device: str) -> None:
    """Set PyTorch's threads; see `environment.limit_threads`. Call after torch is imported, before it computes."""
    import os

    import torch

    environment.limit_threads(num_threads, device)
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def device_bytes(device: str) -> int:
    """What this process holds on its GPU, PyTorch's reserve included; 0 on a CPU."""
    if device == "cpu":
        return 0
    import torch

    return int(torch.cuda.memory_reserved(device))


def sleep_levels(device: str) -> tuple[int, ...]:
    """Of a model that can move to host RAM and be read anew; on a CPU it is there already, and moving frees nothing."""
    return (2,) if device == "cpu" else (1, 2)


def release(device: str) -> None:
    """Give memory of a GPU back that nobody refers to any more; on a CPU PyTorch keeps none."""
    if device != "cpu":
        import torch

        gc.collect()
        torch.cuda.empty_cache()
