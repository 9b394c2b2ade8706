"""What each backend will need before it is loaded, as its engine reckons from the files. Knows no engine by name."""

from collections.abc import Iterable

from engines.contract.engine import MemoryEstimate
from engines.contract.options import engine_module, parse_options
from engines.contract.spec import BackendSpec
from server.telemetry import log_event


def estimate_memory(backends: Iterable[BackendSpec]) -> dict[str, MemoryEstimate]:
    """By backend id; without those whose engine does not estimate or whose weights are not there. Reads file sizes."""
    found = ((spec.id, _estimate(spec)) for spec in backends)
    return {backend_id: estimate for backend_id, estimate in found if estimate is not None}


def _estimate(spec: BackendSpec) -> MemoryEstimate | None:
    reckon = getattr(engine_module(spec.engine), "estimate", None)
    if reckon is None:
        return None
    try:
        estimate: MemoryEstimate = reckon(spec, parse_options(spec.engine, spec.options))
    except (OSError, ValueError) as error:  # no files, or none that the library would read either
        log_event("estimate.failed", backend=spec.id, kind=type(error).__name__)
        return None
    return estimate if estimate.weights_bytes else None
