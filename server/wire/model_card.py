"""A model as the listings show it, in both dialects. Reads specs and states; decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec
from engines.contract.types import Modality
from server.replicas import joint_state
from server.wire.listing import Model
from server.workers.status import BackendStatus, WorkerState

Health = Literal["healthy", "degraded", "unhealthy", "unavailable"]
_BEST_FIRST: tuple[Health, ...] = ("healthy", "degraded", "unavailable", "unhealthy")


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


def joint_health(statuses: Sequence[BackendStatus | None]) -> Health:
    """Of a model with these replicas: the best of them, but never `healthy` while one is `unhealthy`."""
    each = [health(status) for status in statuses]
    best = min(each, key=_BEST_FIRST.index)
    return "degraded" if best == "healthy" and "unhealthy" in each else best


def model_card(
    model: Model,
    states: Mapping[str, BackendStatus],
    estimates: Mapping[str, MemoryEstimate] = MappingProxyType({}),
) -> dict[str, object]:
    """ScaiGrid's fields, then ours: what the model can do, what it needs, and what its backends are doing together.

    Memory is that of all replicas; state, its age and its detail are of the one that is nearest to serving.
    """
    frontend, spec = model.frontend, model.backend
    statuses = [states.get(replica.id) for replica in model.replicas]
    needs = [estimates[replica.id].total_bytes for replica in model.replicas if replica.id in estimates]
    card: dict[str, object] = {
        "slug": frontend.slug,
        "display_name": frontend.display_name or frontend.slug,
        "description": frontend.description,
        "modality": spec.modality.value,
        "context_window": spec.context_window,
        "status": "active",
        "health_status": joint_health(statuses),
        "active_backend_count": sum(health(status) in ("healthy", "degraded") for status in statuses),
        "total_backend_count": len(model.replicas),
        "capabilities": _capabilities(spec),
        "licence": spec.licence,
        "memory_estimate_bytes": sum(needs) if needs else None,
        "replicas": replica_list(model, states),
    }
    if spec.max_output_tokens is not None:
        card["max_output_tokens"] = spec.max_output_tokens
    known = [status for status in statuses if status is not None]
    return card | _state(known) if known else card


def replica_list(model: Model, states: Mapping[str, BackendStatus]) -> list[dict[str, object]]:
    """Each backend of the model in short."""
    found = [(replica.id, states.get(replica.id)) for replica in model.replicas]
    return [
        {
            "backend_id": backend_id,
            "state": None if status is None else status.state.value,
            "health_status": health(status),
        }
        for backend_id, status in found
    ]


def _state(statuses: Sequence[BackendStatus]) -> dict[str, object]:
    state = joint_state(status.state for status in statuses)
    nearest = next(status for status in statuses if status.state is state)
    return {
        "state": state.value,
        "state_since": nearest.since,
        "state_detail": nearest.detail,
        "memory_bytes": _sum(status.rss_bytes for status in statuses),
        "device_memory_bytes": _sum(status.device_bytes for status in statuses),
        "last_error": next((status.last_error for status in statuses if status.last_error), None),
    }


def _sum(sizes: Iterable[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _capabilities(spec: BackendSpec) -> dict[str, bool]:
    """The same keys for every modality; JSON answers are the default of chat models and mean nothing elsewhere."""
    told: dict[str, bool] = msgspec.to_builtins(spec.capabilities)
    return told | {
        "structured_output": spec.capabilities.structured_output and spec.modality is Modality.CHAT
    }


def openai_model_card(model: Model) -> dict[str, object]:
    """`created` is 0, for unknown: nobody dates a local model. `owned_by` is the slug's first part."""
    frontend, spec = model.frontend, model.backend
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
        "health_status": health(status),
    }
    return card if status is None else card | msgspec.structs.asdict(status)
