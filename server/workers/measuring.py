"""What each worker holds, as the operating system and the workers themselves tell it."""

import asyncio
from collections.abc import Iterable

from engines.contract.frames import Asleep
from server.workers.ledger import CPU
from server.workers.proc import GroupMemory, memory_by_group
from server.workers.process import WorkerProcess


class Meter:
    """The last look at the processes of this machine."""

    def __init__(self) -> None:
        self._groups: dict[int, GroupMemory] = {}

    async def look(self) -> None:
        """In a thread: it takes milliseconds."""
        self._groups = await asyncio.to_thread(memory_by_group)

    def look_for(self, workers: Iterable[WorkerProcess]) -> None:
        """Now, and blocking, if one of them is younger than the last look."""
        if not {worker.pid for worker in workers if worker.pid} <= self._groups.keys():
            self._groups = memory_by_group()

    def resident_bytes(self, worker: WorkerProcess) -> int | None:
        group = self._groups.get(worker.pid or 0)
        return None if group is None else group.resident_bytes

    def sizes(self, worker: WorkerProcess, devices: Iterable[str]) -> dict[str, int]:
        """Bytes that the worker holds of each device and of the host's memory, as far as they are known.

        Of the host's memory it is what the worker's processes tell, which counts shared pages in parts, and at least
        what the system says that nobody else can hold: a worker cannot hide growth.
        """
        group = self._groups.get(worker.pid or 0, GroupMemory())
        stats = worker.stats
        sizes = {CPU: max(group.anonymous_bytes, stats.host_bytes if stats else 0)}
        on_gpus = _gpus(devices)
        if on_gpus and stats:
            sizes |= dict.fromkeys(on_gpus, stats.engine.device_bytes // len(on_gpus))
        return {device: size for device, size in sizes.items() if size}


def freed_bytes(frame: Asleep, devices: Iterable[str]) -> dict[str, int]:
    """Of each device; a model over several GPUs lies in equal parts on them."""
    on_gpus = _gpus(devices)
    return {CPU: frame.freed_host_bytes} | {
        device: frame.freed_device_bytes // len(on_gpus) for device in on_gpus
    }


def _gpus(devices: Iterable[str]) -> list[str]:
    return [device for device in devices if device != CPU]
