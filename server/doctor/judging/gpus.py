"""Judges cards, driver, and who else holds their memory."""

from collections.abc import Iterator

from server.doctor.facts import Gpu, GpuProcess, Gpus
from server.doctor.verdict import Finding, ok, problem, warning

NEEDED_CUDA = (13, 0)
DRIVER = "NVIDIA driver 580 or newer"
MUCH_FREE = 0.5
GIB = 2**30
_LONGEST_COMMAND = 60


def judge_gpus(gpus: Gpus) -> Iterator[Finding]:
    if not gpus.num_driven:
        yield _no_gpu(gpus)
        return
    if gpus.tool_error is not None:
        yield warning("GPU tools", gpus.tool_error, "install nvidia-smi of the driver's own version")
        return
    yield _driver(gpus)
    for gpu in gpus.gpus:
        yield _memory(gpu, [process for process in gpus.processes if process.gpu_uuid == gpu.uuid])


def _no_gpu(gpus: Gpus) -> Finding:
    if gpus.num_cards:
        return warning(
            "GPU",
            f"{gpus.num_cards} NVIDIA card(s), but no driver that can be reached: models run on the CPU",
            f"install {DRIVER} (in a container: --gpus all and the NVIDIA Container Toolkit)",
        )
    return ok("GPU", "no GPU: models run on the CPU")


def _driver(gpus: Gpus) -> Finding:
    if gpus.cuda_version is None:
        found = f"driver {gpus.driver_version or 'unknown'}, which does not tell its CUDA version"
        return warning("GPU driver", found, f"install {DRIVER}")
    cuda = ".".join(map(str, gpus.cuda_version))
    found = f"driver {gpus.driver_version or 'unknown'}, CUDA up to {cuda}"
    if gpus.cuda_version < NEEDED_CUDA:
        return problem("GPU driver", found, f"install {DRIVER}: the engines are built for CUDA 13")
    return ok("GPU driver", found)


def _memory(gpu: Gpu, processes: list[GpuProcess]) -> Finding:
    check = f"GPU {gpu.index}"
    found = f"{gpu.name}, {gpu.free_bytes / GIB:.1f} of {gpu.total_bytes / GIB:.1f} GiB free"
    strangers = [process for process in processes if not process.is_ours]
    if strangers:
        held = "; ".join(map(_describe, strangers))
        fix = "end what is not needed: " + " ".join(["kill", *(str(process.pid) for process in strangers)])
        return warning(check, f"{found}; held by others: {held}", fix)
    if not processes and gpu.free_bytes < MUCH_FREE * gpu.total_bytes:
        return warning(
            check,
            f"{found}; no process that can be seen holds the rest",
            "look for it on the host (outside this container), or restart the machine",
        )
    return ok(check, found)


def _describe(process: GpuProcess) -> str:
    command = process.command[:_LONGEST_COMMAND] or "a process that cannot be seen from here"
    return f"{process.used_bytes / GIB:.1f} GiB by {process.pid} ({command})"
