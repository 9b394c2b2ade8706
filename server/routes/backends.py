"""GET /v1/backends, GET /v1/backends/{backend_id}/health, POST .../load, /stop, /sleep, /pin, /unpin:
for those who manage models.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec
from server.caller import Permission
from server.deps import Services, backend_states, put_to_sleep, request_id, require, services
from server.envelope import Json, success
from server.errors import ServiceError
from server.wire.health_answer import MAX_PROBE_S, PROBE_S, health_answer
from server.wire.model_card import backend_card

router = APIRouter(tags=["backends"])
_BackendId = Annotated[str, Path(max_length=200)]


@router.get("/v1/backends")
async def list_backends(request: Request) -> Json:
    """Every backend with the state of its worker. Needs `models:manage`."""
    require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    states = backend_states(hub)
    items = [backend_card(spec, states.get(spec.id)) for spec in hub.catalog.backends.values()]
    return Json(success({"items": items}, request_id(request)))


@router.post("/v1/backends/{backend_id}/load", status_code=202)
async def load_backend(
    request: Request, backend_id: _BackendId, replace: Annotated[bool, Query()] = False
) -> Json:
    """Start the backend's worker if it has none, also after it was given up. Answers at once.

    With `replace` its file is read again and the new version takes the place of the old one as soon as it has
    answered a probe; if it does not, the old one stays: see `replacement`. Needs `models:manage`.
    """
    hub, spec = _managed(request, backend_id)
    if replace:
        await hub.replacing.begin(spec.id)
    else:
        hub.supervisor.load(spec.id)
    return _accepted(request, hub, spec)


@router.post("/v1/backends/{backend_id}/stop", status_code=202)
async def stop_backend(request: Request, backend_id: _BackendId) -> Json:
    """Let running requests end, then end the worker. Answers at once. Needs `models:manage`."""
    hub, spec = _managed(request, backend_id)
    hub.supervisor.stop(spec.id)
    return _accepted(request, hub, spec)


@router.post("/v1/backends/{backend_id}/sleep", status_code=202)
async def sleep_backend(request: Request, backend_id: _BackendId) -> Json:
    """Let running requests end, then let the worker fall asleep; the next request wakes it. Answers at once.

    409 if it is not ready or cannot sleep. Needs `models:manage`.
    """
    hub, spec = _managed(request, backend_id)
    put_to_sleep(hub, spec)
    return _accepted(request, hub, spec)


@router.get("/v1/backends/{backend_id}/health")
async def backend_health(
    request: Request,
    backend_id: _BackendId,
    probe: Annotated[bool, Query(description="Ask the model for a small answer now.")] = False,
    timeout_s: Annotated[
        float, Query(gt=0, le=MAX_PROBE_S, description="Longest wait for that answer.")
    ] = PROBE_S,
) -> Json:
    """200 if a request would be answered now, else 503 with an error; `data` is there in both.

    Tells the last real answer of the model, its worker's signs of life, and what it died of lately. With `probe` a
    ready model is asked for one token, vector, score, picture, transcript or word; one that is not loaded stays so.
    Needs `models:manage`.
    """
    hub, spec = _managed(request, backend_id)
    outcome = await hub.supervisor.probe(spec.id, timeout_s) if probe else None
    return health_answer(hub.supervisor.health(spec.id), outcome, request_id(request))


@router.post("/v1/backends/{backend_id}/pin")
async def pin_backend(request: Request, backend_id: _BackendId) -> Json:
    """Once it is loaded the backend stays so: it gives way to no other and is not stopped for being idle.

    Holds until the server ends or `unpin`; `pinned` in its file is for ever. Needs `models:manage`.
    """
    return _set_pin(request, backend_id, is_pinned=True)


@router.post("/v1/backends/{backend_id}/unpin")
async def unpin_backend(request: Request, backend_id: _BackendId) -> Json:
    """The backend may give way to others again. Needs `models:manage`."""
    return _set_pin(request, backend_id, is_pinned=False)


def _set_pin(request: Request, backend_id: str, *, is_pinned: bool) -> Json:
    hub, spec = _managed(request, backend_id)
    hub.supervisor.pin(spec.id, is_pinned)
    return _card(request, hub, spec, 200)


def _managed(request: Request, backend_id: str) -> tuple[Services, BackendSpec]:
    require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    spec = hub.catalog.backends.get(backend_id)
    if spec is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "No backend with this id is configured")
    return hub, spec


def _accepted(request: Request, hub: Services, spec: BackendSpec) -> Json:
    return _card(request, hub, spec, 202)


def _card(request: Request, hub: Services, spec: BackendSpec, status: int) -> Json:
    states = backend_states(hub)
    return Json(success(backend_card(spec, states.get(spec.id)), request_id(request)), status_code=status)
