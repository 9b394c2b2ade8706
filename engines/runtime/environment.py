"""Sets what model libraries read from the environment, before they are imported; the only place that does."""

import os
from pathlib import Path

CACHE_VARIABLE = "HEARTH_ENGINE_CACHE"

_ALWAYS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as the driver numbers the GPUs, and with it the ledger
}
_CACHES = {"VLLM_CACHE_ROOT": "vllm", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}


def prepare() -> None:
    """Switch every hub and telemetry off; keep the libraries' caches below `HEARTH_ENGINE_CACHE` if it is set."""
    os.environ.update(_ALWAYS)
    if root := os.environ.get(CACHE_VARIABLE):
        for variable, folder in _CACHES.items():
            os.environ[variable] = str(Path(root) / folder)


def use_devices(device: str) -> None:
    """Show the libraries only the devices of a spec: `cuda:0,1` or `cpu`; `auto` and `cuda` leave all visible."""
    kind, _, indices = device.partition(":")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif indices:
        os.environ["CUDA_VISIBLE_DEVICES"] = indices


def has_gpu(device: str) -> bool:
    """Whether a worker for `device` computes on a GPU; asks the driver's device file, no library."""
    return device != "cpu" and Path("/dev/nvidiactl").exists()


def switch_compiler_off() -> None:
    """Run every PyTorch function as it is written: otherwise the first request for log probabilities on a CPU waits
    for a C++ compiler, and where there is none it takes the engine down."""
    os.environ["TORCHDYNAMO_DISABLE"] = "1"


def tokenize_in_parallel() -> None:
    """Let Hugging Face's tokenizers use every core: a GPU computes faster than one core tokenises."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true"


def limit_threads(num_threads: int | None, device: str) -> None:
    """Set the number of OpenMP threads of this process and of the children it spawns.

    None: what the operator's environment says; else on a CPU one for every two processors, so that threads do not spin
    for a processor that the event loop holds; on a GPU the library's own choice.
    """
    if num_threads is None and "OMP_NUM_THREADS" not in os.environ and not has_gpu(device):
        num_threads = max(1, len(os.sched_getaffinity(0)) // 2)
    if num_threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(num_threads)
