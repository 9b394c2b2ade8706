"""GET /v1/backends/{backend_id}: one backend with its whole configuration and state, for those who manage models."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.deps import backend_states, request_id, require, services
from server.envelope import Json, success
from server.errors import ServiceError
from server.wire.model_card import backend_card

router = APIRouter(tags=["backends"])


@router.get("/v1/backends/{backend_id}")
async def get_backend(request: Request, backend_id: Annotated[str, Path(max_length=200)]) -> Json:
    """What the listing has of a backend, and `configuration`: its file with all defaults. Needs `models:manage`."""
    require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    spec = hub.catalog.backends.get(backend_id)
    if spec is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "No backend with this id is configured")
    card = backend_card(spec, backend_states(hub).get(spec.id))
    card["is_need_measured"] = spec.id in hub.measurements.known
    return Json(success(card | {"configuration": msgspec.to_builtins(spec)}, request_id(request)))
