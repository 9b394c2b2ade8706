"""What each worker holds, as the operating system and the workers themselves tell it."""

import asyncio
from collections.abc import Callable, Iterable

from engines.contract.frames import Asleep
from server.workers.gpu_memory import ByGroup, held_on
from server.workers.ledger import CPU
from server.workers.proc import GroupMemory, memory_by_group
from server.workers.process import WorkerProcess


class Meter:
    """The last look at the processes of this machine. `read_gpus` asks the driver, where there is one."""

    def __init__(self, read_gpus: Callable[[], ByGroup] = dict) -> None:
        self._read_gpus = read_gpus
        self._groups: dict[int, GroupMemory] = {}
        self._on_gpus: ByGroup = {}

    async def look(self) -> None:
        """In a thread: it takes milliseconds."""
        self._groups = await asyncio.to_thread(memory_by_group)
        self._on_gpus = await asyncio.to_thread(self._read_gpus)

    def look_for(self, workers: Iterable[WorkerProcess]) -> None:
        """Now, and blocking, if one of them is younger than the last look."""
        if not {worker.pid for worker in workers if worker.pid} <= self._groups.keys():
            self._groups = memory_by_group()

    def resident_bytes(self, worker: WorkerProcess) -> int | None:
        group = self._groups.get(worker.pid or 0)
        return None if group is None else group.resident_bytes

    def device_bytes(self, worker: WorkerProcess, devices: Iterable[str]) -> int | None:
        """On its GPUs together; None before the worker has told anything."""
        sizes = self.sizes(worker, devices)
        return None if worker.stats is None else sum(sizes.get(device, 0) for device in _gpus(devices))

    def sizes(self, worker: WorkerProcess, devices: Iterable[str]) -> dict[str, int]:
        """Bytes that the worker holds of each device and of the host's memory, as far as they are known.

        Of the host's memory it is what the worker's processes tell, which counts shared pages in parts, and at least
        what the system says that nobody else can hold: a worker cannot hide growth.
        """
        group = self._groups.get(worker.pid or 0, GroupMemory())
        stats = worker.stats
        sizes = {CPU: max(group.anonymous_bytes, stats.host_bytes if stats else 0)}
        on_gpus = _gpus(devices)
        if on_gpus:
            told_bytes = stats.engine.device_bytes if stats else 0
            sizes |= held_on(on_gpus, worker.pid or 0, self._on_gpus, told_bytes=told_bytes)
        return {device: size for device, size in sizes.items() if size}


def freed_bytes(frame: Asleep, devices: Iterable[str]) -> dict[str, int]:
    """Of each device; a model over several GPUs lies in equal parts on them."""
    on_gpus = _gpus(devices)
    return {CPU: frame.freed_host_bytes} | {
        device: frame.freed_device_bytes // len(on_gpus) for device in on_gpus
    }


def _gpus(devices: Iterable[str]) -> list[str]:
    return [device for device in devices if device != CPU]
