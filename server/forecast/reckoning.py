"""What an engine reckons for a spec, and the arguments that it would give its library. Knows no engine by name."""

from typing import Any

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.options import OptionsError, engine_module, parse_options
from engines.contract.spec import BackendSpec
from server.catalog.estimates import estimate_memory
from server.workers.ledger import CPU, PROCESS_BYTES

KV_CACHE_ARGUMENT = "kv_cache_memory_bytes"


class Parts(msgspec.Struct, frozen=True):
    """Bytes on all devices of the backend together. `overhead_bytes`: interpreter and libraries of the worker."""

    weights_bytes: int
    kv_cache_bytes: int
    activations_bytes: int
    overhead_bytes: int


def reckon(spec: BackendSpec) -> MemoryEstimate | None:
    """None where nothing can be reckoned: no weights, or options that the engine refuses. Reads file sizes."""
    try:
        return estimate_memory([spec]).get(spec.id)
    except OptionsError:
        return None


def arguments_of(spec: BackendSpec, *, is_cpu: bool) -> dict[str, Any]:
    """What the engine would be given: its library's arguments where it names them, else its options in full."""
    try:
        options = parse_options(spec.engine, spec.options)
    except OptionsError:
        return {}
    name = getattr(engine_module(spec.engine), "arguments", None)
    found: dict[str, Any] = name(spec, options, is_cpu=is_cpu) if name else msgspec.to_builtins(options)
    return {key: value for key, value in found.items() if value is not None}


def parts_of(estimate: MemoryEstimate | None, devices: tuple[str, ...], arguments: dict[str, Any]) -> Parts:
    weights = 0 if estimate is None else estimate.weights_bytes
    working = 0 if estimate is None else estimate.working_bytes
    kv_cache = min(working, int(arguments.get(KV_CACHE_ARGUMENT, 0)) * len(devices))
    return Parts(weights, kv_cache, working - kv_cache, PROCESS_BYTES if devices == (CPU,) else 0)
