"""Bytes of each device: what there is, who holds how much, what is left. Pure.

A device is a GPU or `cpu`, the memory of the machine. A backend holds what it was granted before its load, and what was
measured of it afterwards; it holds that until its processes are gone.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from engines.contract.spec import BackendSpec

GIB = 1024**3
CPU = "cpu"
PROCESS_BYTES = 600 * 1024**2
"""What a worker on the CPU holds besides its model: interpreter and libraries, measured at 450 to 620 MiB."""
GPU_PROCESS_BYTES = 3 * GIB
"""What a worker on a GPU holds of the host's memory, reckoned."""


class Holding(msgspec.Struct, frozen=True):
    """`is_measured`: read from the operating system or the driver, not reckoned."""

    backend_id: str
    size_bytes: int
    is_measured: bool


class Ledger:
    """`budgets` by device; a device that is not in it has no bound, and what is held there is only told.

    `sleep_budget` is the part of the host's memory that sleeping models may hold together; None is no bound.
    """

    def __init__(self, budgets: Mapping[str, int], sleep_budget: int | None = None) -> None:
        self.budgets = dict(budgets)
        self.sleep_budget = sleep_budget
        self._held: dict[str, dict[str, Holding]] = {}

    @property
    def devices(self) -> Collection[str]:
        """Those of which anything was ever held."""
        return self._held.keys()

    def grant(self, device: str, backend_id: str, size_bytes: int) -> None:
        """Before a load."""
        self._held.setdefault(device, {})[backend_id] = Holding(backend_id, size_bytes, is_measured=False)

    def measure(self, device: str, backend_id: str, size_bytes: int) -> None:
        """What a backend that holds a grant was seen to hold. A load that has not taken all of its grant keeps it."""
        held = self._held.get(device, {}).get(backend_id)
        if held is not None:
            self._held[device][backend_id] = Holding(backend_id, size_bytes, is_measured=True)

    def release(self, device: str, backend_id: str) -> None:
        self._held.get(device, {}).pop(backend_id, None)

    def holdings(self, device: str) -> list[Holding]:
        """The largest first."""
        held = self._held.get(device, {}).values()
        return sorted(held, key=lambda holding: (-holding.size_bytes, holding.backend_id))

    def held_bytes(self, device: str, backend_id: str) -> int:
        held = self._held.get(device, {}).get(backend_id)
        return 0 if held is None else held.size_bytes

    def used_bytes(self, device: str) -> int:
        return sum(holding.size_bytes for holding in self._held.get(device, {}).values())

    def missing_bytes(self, device: str, size_bytes: int) -> int:
        """What would have to be freed for `size_bytes` more; 0 or less if they fit."""
        budget = self.budgets.get(device)
        return 0 if budget is None else self.used_bytes(device) + size_bytes - budget

    def could_ever_fit(self, device: str, size_bytes: int) -> bool:
        return size_bytes <= self.budgets.get(device, size_bytes)


class Memory(NamedTuple):
    """What a scheduler is told at its start: budgets by device, needs by backend, and a backend's devices.

    `host_bytes`: what a worker on a GPU takes of the host's memory. `weights`: bytes by backend, as far as they are
    known. `sleep_budget`: how much of the host's memory sleeping workers may hold together; None is no bound.
    """

    budgets: Mapping[str, int]
    needs: Mapping[str, int]
    devices_of: Callable[[BackendSpec], tuple[str, ...]]
    host_bytes: int = 0
    weights: Mapping[str, int] = MappingProxyType({})
    sleep_budget: int | None = None


NO_BOUNDS = Memory({}, {}, lambda spec: (spec.device,))


def gib(size_bytes: int) -> str:
    """For people."""
    return f"{size_bytes / GIB:.2f} GiB"
