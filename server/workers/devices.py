"""The devices of this machine with their budgets, and which of them a backend is for. Reads hardware once."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec
from server.nvml import Gpu
from server.settings import Settings
from server.workers.ledger import CPU, GIB, GPU_PROCESS_BYTES, PROCESS_BYTES, Memory

LEAST_SPARED_BYTES = 2 * GIB
SPARED_SHARE = 0.1
SLEEPERS_SHARE = 0.5


def read_memory(
    specs: Iterable[BackendSpec],
    settings: Settings,
    *,
    estimates: Mapping[str, MemoryEstimate],
    measured: Mapping[str, int],
    gpus: Sequence[Gpu],
    ram_bytes: Callable[[], int] = lambda: os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
) -> Memory:
    """For the scheduler. What was measured of a backend counts more than what its engine reckons."""
    budgets = {f"cuda:{gpu.number}": int(gpu.total_bytes * settings.gpu_memory_share) for gpu in gpus}
    budgets[CPU] = settings.ram_budget_bytes or ram_budget(ram_bytes())
    has_gpu = bool(gpus)
    needs = {
        spec.id: measured.get(spec.id)
        or need_bytes(estimates.get(spec.id), devices_of(spec, has_gpu=has_gpu))
        for spec in specs
    }
    sleep_budget = settings.sleep_budget_bytes
    return Memory(
        budgets,
        needs,
        lambda spec: devices_of(spec, has_gpu=has_gpu),
        host_bytes=GPU_PROCESS_BYTES,
        weights={name: estimate.weights_bytes for name, estimate in estimates.items()},
        sleep_budget=int(budgets[CPU] * SLEEPERS_SHARE) if sleep_budget is None else sleep_budget,
    )


def settled(specs: Iterable[BackendSpec], *, has_gpu: bool) -> list[BackendSpec]:
    """The specs with `auto` replaced by what it means on this machine."""
    return [
        msgspec.structs.replace(spec, device=devices_of(spec, has_gpu=has_gpu)[0])
        if spec.device == "auto"
        else spec
        for spec in specs
    ]


def ram_budget(total_bytes: int) -> int:
    """Without what the system and this process need."""
    return total_bytes - max(LEAST_SPARED_BYTES, int(total_bytes * SPARED_SHARE))


def devices_of(spec: BackendSpec, *, has_gpu: bool) -> tuple[str, ...]:
    """`auto` is the first GPU where there is one."""
    kind, _, numbers = spec.device.partition(":")
    if kind == CPU or (kind == "auto" and not has_gpu):
        return (CPU,)
    return tuple(f"cuda:{number}" for number in (numbers or "0").split(","))


def need_bytes(estimate: MemoryEstimate | None, devices: tuple[str, ...]) -> int:
    """On each of its devices, before anything was measured; a model over several GPUs lies in equal parts on them."""
    reckoned = 0 if estimate is None else estimate.total_bytes
    return reckoned + PROCESS_BYTES if devices == (CPU,) else reckoned // len(devices)
