"""What was seen on the machine, as data. Judges nothing."""

import enum
from pathlib import Path

import msgspec

from server.engine_envs import State


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`memory_limit_bytes` is the control group's. `code_time` is when the newest file of our code was written."""

    system: str
    release: str
    processor: str
    libc: str
    python: str
    num_cpus: int
    cpu_flags: frozenset[str]
    memory_bytes: int
    memory_available_bytes: int
    memory_limit_bytes: int | None
    open_files: int
    shared_memory_bytes: int | None
    now: float
    code_time: float
    is_clock_synchronized: bool | None


class Gpu(msgspec.Struct, frozen=True):
    index: int
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int


class GpuProcess(msgspec.Struct, frozen=True):
    """`is_ours` if it is a worker of a Hearth server or was started by one."""

    pid: int
    gpu_uuid: str
    used_bytes: int
    command: str
    is_ours: bool


class Gpus(msgspec.Struct, frozen=True, kw_only=True):
    """`num_cards` by the PCI bus, `num_driven` by the driver itself, the rest by nvidia-smi, which may be missing."""

    num_cards: int
    num_driven: int
    cuda_version: tuple[int, int] | None = None
    driver_version: str | None = None
    tool_error: str | None = None
    gpus: tuple[Gpu, ...] = ()
    processes: tuple[GpuProcess, ...] = ()


class Mismatch(msgspec.Struct, frozen=True):
    package: str
    locked: str
    installed: str | None


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """`given` is the interpreter of `engines_python`. `failures`: module and reason; None if it was not tried."""

    flavour: str
    given: Path | None
    name: str | None
    state: State
    is_chosen: bool = False
    failures: tuple[tuple[str, str], ...] | None = None
    mismatches: tuple[Mismatch, ...] = ()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`nearest` is the folder itself or the one above it that exists; the rest is said of that one."""

    path: Path
    nearest: Path
    is_folder: bool
    can_read: bool
    can_write: bool
    mode: int
    file_system: str
    free_bytes: int

    @property
    def exists(self) -> bool:
        return self.path == self.nearest


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """`store` is the folder of a SQLite store; None with PostgreSQL."""

    data: Place
    files: Place
    models: Place
    engines: Place
    temporary: Place
    store: Place | None
    min_free_bytes: int


class StoreState(enum.StrEnum):
    ABSENT = "absent"
    WHOLE = "whole"
    IN_USE = "in_use"
    DAMAGED = "damaged"
    UNREACHABLE = "unreachable"


class PortState(enum.StrEnum):
    FREE = "free"
    OURS = "ours"
    TAKEN = "taken"
    FORBIDDEN = "forbidden"


class Weights(msgspec.Struct, frozen=True):
    backend_id: str
    path: str
    exists: bool


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """`store_detail` and `port_detail` are why, where something is wrong."""

    store: str
    store_state: StoreState
    store_detail: str | None
    address: str
    port_state: PortState
    port_detail: str | None
    model_problems: tuple[str, ...]
    weights: tuple[Weights, ...]
    server_mismatches: tuple[Mismatch, ...]
