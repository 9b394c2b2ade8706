"""POST /v1/models/{slug}/load, /unload, /sleep, /pin, /unpin: a model by its public name, for those who manage it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request

from server.caller import Permission
from server.deps import backend_states, put_to_sleep, request_id, require, services
from server.envelope import Json, success
from server.wire.listing import find_model
from server.wire.model_card import backend_card, replica_list

router = APIRouter(tags=["backends"])
_Slug = Annotated[str, Path(max_length=200)]


@router.post("/v1/models/{slug:path}/load", status_code=202)
async def load_model(request: Request, slug: _Slug) -> Json:
    """Load the model now instead of at its first request. Answers at once. Needs `models:manage`."""
    return _act(request, slug, "load")


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
    """On all backends of the model. The answer is the first one as it is then, with all `replicas` in short."""
    caller = require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    model = find_model(hub.catalog.backends.values(), slug, caller)
    if action == "sleep":
        put_to_sleep(hub, *model.replicas)
    for spec in model.replicas:
        match action:
            case "load":
                hub.supervisor.load(spec.id)
            case "unload":
                hub.supervisor.stop(spec.id)
            case "pin" | "unpin":
                hub.supervisor.pin(spec.id, action == "pin")
    states = backend_states(hub)
    card = backend_card(model.backend, states.get(model.backend.id))
    card["replicas"] = replica_list(model, states)
    return Json(success(card, request_id(request)), status_code=202)
