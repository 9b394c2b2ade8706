"""What every engine offers besides its modality: its life, and how it is doing."""

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from engines.contract.spec import BackendSpec

Phase = Literal["importing", "loading", "compiling", "warming"]
ReportProgress = Callable[[Phase, str], None]


class EngineStats(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sample of the engine: requests running and waiting inside it, the share of its KV cache in use (0..1).

    `steps` counts the engine's steps so far: while it rises, requests that show no output yet are not stuck.
    `device_bytes` is what it holds on its GPU; host memory is read from the operating system.
    """

    running: int = 0
    waiting: int = 0
    kv_cache_usage: float = 0.0
    steps: int = 0
    device_bytes: int = 0


class MemoryEstimate(msgspec.Struct, frozen=True):
    """What a backend will need on its device: weights as they lie in memory, and what computing takes besides."""

    weights_bytes: int
    working_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.working_bytes


class Engine(Protocol):
    """A wrapper of one library for one modality; its module `engines/<library>_<modality>.py` also has `Options`.

    The module must be importable without the library: import it inside `load`. It also has a function `estimate(spec,
    options) -> MemoryEstimate`, which reads file sizes and small JSON files only; the spec's `device` is never `auto`.
    `HAS_WEIGHTS = False` in a module says that its engine reads no model directory, so that none is checked;
    `SPANS_GPUS = True` that one worker can spread a model over several GPUs. A function `find_contradictions(spec,
    options)` may yield pairs of a dotted path (`options.max_num_seqs`) and what is wrong there beside the spec.

    Besides, the engine has the method of each kind of request that it serves: see `requests.KINDS`.
    """

    def __init__(self, spec: BackendSpec, options: Any) -> None: ...

    async def load(self, report: ReportProgress) -> None:
        """Make the model ready to compute. Never blocks the event loop.

        Raises EngineError: VALIDATION_ERROR when the backend's configuration cannot work, so that trying again
        cannot help; MODEL_UNAVAILABLE for anything that may pass.
        """

    async def warm_up(self) -> None:
        """Compute one real, smallest answer; readiness means that this worked."""

    async def check_health(self) -> None:
        """Raise EngineError(BACKEND_ERROR) if the engine cannot compute any more; the worker then ends."""

    def stats(self) -> EngineStats: ...

    async def close(self) -> None:
        """End in-flight work and free everything. Called once."""


@runtime_checkable
class Sleeper(Engine, Protocol):
    """What an engine has besides that can give its memory back and stay a process: its libraries remain imported.

    Both methods are called one at a time, and never while a request is in flight; work that a cancelled request left
    behind may still run on a thread, and is waited for. Neither blocks the event loop. `check_health` and `stats` are
    called at any time, also during both. Any error they raise ends the worker.
    """

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        """The levels that give memory back on this engine's device; known after `load`, empty for none at all."""

    async def sleep(self, level: int) -> None:
        """From hot to one of `sleep_levels`. Afterwards the device holds nothing that the engine can give up.

        Level 1 keeps the weights in host RAM; level 2 drops them, and keeps at most what is small (tokenizers,
        configuration). What is freed is really free: caches of the library are emptied, and nothing refers to it.
        """

    async def wake(self) -> None:
        """From any level to hot, where the model was; requests get the answers that they got before the sleep.

        `warm_up` is called afterwards, before any request. Raises EngineError as `load` does.
        """
