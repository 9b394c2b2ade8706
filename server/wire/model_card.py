"""A model as the listings show it, in both dialects. Reads specs and states; decides nothing."""

from typing import Literal

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec, Frontend
from engines.contract.types import Modality
from server.workers.status import BackendStatus, WorkerState

Health = Literal["healthy", "degraded", "unhealthy", "unavailable"]


def health(status: BackendStatus | None) -> Health:
    """How much to expect of a backend.

    `healthy`: answers now, or loads when asked and has not failed since. `degraded`: is coming up, or was
    stopped after a failure. `unhealthy`: failed and is left alone for now. `unavailable`: is being stopped.
    """
    if status is None or status.state is WorkerState.DRAINING:
        return "unavailable"
    if status.state is WorkerState.FAILED:
        return "unhealthy"
    if status.state is WorkerState.READY:
        return "healthy"
    if status.state in (WorkerState.STOPPED, WorkerState.ASLEEP) and status.last_error is None:
        return "healthy"
    return "degraded"


def model_card(
    frontend: Frontend,
    spec: BackendSpec,
    status: BackendStatus | None,
    estimate: MemoryEstimate | None = None,
) -> dict[str, object]:
    """ScaiGrid's fields, then ours: what the model can do, what it needs, and what its one backend is doing."""
    card: dict[str, object] = {
        "slug": frontend.slug,
        "display_name": frontend.display_name or frontend.slug,
        "description": frontend.description,
        "modality": spec.modality.value,
        "context_window": spec.context_window,
        "status": "active",
        "health_status": health(status),
        "active_backend_count": int(health(status) in ("healthy", "degraded")),
        "total_backend_count": 1,
        "capabilities": _capabilities(spec),
        "licence": spec.licence,
        "memory_estimate_bytes": estimate.total_bytes if estimate else None,
    }
    if spec.max_output_tokens is not None:
        card["max_output_tokens"] = spec.max_output_tokens
    if status is not None:
        card |= {
            "state": status.state.value,
            "state_since": status.since,
            "state_detail": status.detail,
            "memory_bytes": status.rss_bytes,
            "device_memory_bytes": status.device_bytes,
            "last_error": status.last_error,
        }
    return card


def _capabilities(spec: BackendSpec) -> dict[str, bool]:
    """The same keys for every modality; JSON answers are the default of chat models and mean nothing elsewhere."""
    told: dict[str, bool] = msgspec.to_builtins(spec.capabilities)
    return told | {
        "structured_output": spec.capabilities.structured_output and spec.modality is Modality.CHAT
    }


def openai_model_card(frontend: Frontend, spec: BackendSpec) -> dict[str, object]:
    """`created` is 0, for unknown: nobody dates a local model. `owned_by` is the slug's first part."""
    return {
        "id": frontend.slug,
        "object": "model",
        "created": 0,
        "owned_by": frontend.slug.partition("/")[0],
        "context_window": spec.context_window,
        "max_output_tokens": spec.max_output_tokens or spec.context_window,
    }


def backend_card(spec: BackendSpec, status: BackendStatus | None) -> dict[str, object]:
    """A backend with the whole state of its worker, for those who manage models."""
    card: dict[str, object] = {
        "id": spec.id,
        "backend_id": spec.id,
        "models": [frontend.slug for frontend in spec.frontends],
        "engine": spec.engine,
        "device": spec.device,
        "modality": spec.modality.value,
        "weights": spec.weights,
        "context_window": spec.context_window,
        "options": spec.options,
        "health_status": health(status),
    }
    return card if status is None else card | msgspec.structs.asdict(status)
