"""POST /v1/models/{slug}/load, /unload, /sleep, /pin, /unpin: a model by its public name, for those who manage it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request

from engines.contract.spec import BackendSpec
from server.caller import Permission
from server.deps import Services, backend_states, put_to_sleep, request_id, require, services
from server.envelope import Json, success
from server.wire.listing import find_model
from server.wire.model_card import backend_card

router = APIRouter(tags=["backends"])
_Slug = Annotated[str, Path(max_length=200)]


@router.post("/v1/models/{slug:path}/load", status_code=202)
async def load_model(request: Request, slug: _Slug, replace: Annotated[bool, Query()] = False) -> Json:
    """Load the model now instead of at its first request. Answers at once. Needs `models:manage`.

    `replace` is as for the model's backend.
    """
    if not replace:
        return _act(request, slug, "load")
    hub, spec = _managed(request, slug)
    await hub.replacing.begin(spec.id)
    return _accepted(request, hub, spec)


@router.post("/v1/models/{slug:path}/unload", status_code=202)
async def unload_model(request: Request, slug: _Slug) -> Json:
    """Let running requests end, then end the worker; the next request loads it again. Needs `models:manage`."""
    return _act(request, slug, "unload")


@router.post("/v1/models/{slug:path}/sleep", status_code=202)
async def sleep_model(request: Request, slug: _Slug) -> Json:
    """Let running requests end, then let the model fall asleep; 409 if it cannot. Needs `models:manage`."""
    return _act(request, slug, "sleep")


@router.post("/v1/models/{slug:path}/pin", status_code=202)
async def pin_model(request: Request, slug: _Slug) -> Json:
    """Once it is loaded the model stays so, until `unpin` or the server's end. Needs `models:manage`."""
    return _act(request, slug, "pin")


@router.post("/v1/models/{slug:path}/unpin", status_code=202)
async def unpin_model(request: Request, slug: _Slug) -> Json:
    """The model may give way to others again. Needs `models:manage`."""
    return _act(request, slug, "unpin")


def _act(request: Request, slug: str, action: Literal["load", "unload", "sleep", "pin", "unpin"]) -> Json:
    """The backend of the model, as it is after the action."""
    hub, spec = _managed(request, slug)
    match action:
        case "load":
            hub.supervisor.load(spec.id)
        case "unload":
            hub.supervisor.stop(spec.id)
        case "sleep":
            put_to_sleep(hub, spec)
        case "pin" | "unpin":
            hub.supervisor.pin(spec.id, action == "pin")
    return _accepted(request, hub, spec)


def _managed(request: Request, slug: str) -> tuple[Services, BackendSpec]:
    caller = require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    return hub, find_model(hub.catalog.backends.values(), slug, caller).backend


def _accepted(request: Request, hub: Services, spec: BackendSpec) -> Json:
    states = backend_states(hub)
    return Json(success(backend_card(spec, states.get(spec.id)), request_id(request)), status_code=202)
