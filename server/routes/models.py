"""GET /v1/models and GET /v1/models/{slug}: which models there are and how they are doing."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request

from engines.contract.types import Modality
from server.caller import Permission
from server.deps import backend_states, request_id, require, services
from server.envelope import Json, success
from server.wire.answer_docs import native_listing
from server.wire.listing import find_model, usable_models
from server.wire.model_card import model_card
from server.wire.paging import DEFAULT_LIMIT, MAX_LIMIT, page

router = APIRouter(tags=["models"], responses=native_listing())


@router.get("/v1/models")
async def list_models(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    modality: Annotated[Modality | None, Query()] = None,
    status: Annotated[Literal["active", "deprecated"] | None, Query()] = None,
) -> Json:
    """The models that this key may use, by slug. Needs `models:list`.

    `health_status` is `healthy` only for a model that answers now, or that loads when asked and has not
    failed; `state` says which. Every model here is `active`. One with several replicas is shown once, in the state
    of the replica that is nearest to serving.
    """
    caller = require(request, Permission.MODELS_LIST)
    hub = services(request)
    models = [
        model
        for model in usable_models(hub.catalog.backends.values(), caller)
        if modality in (None, model.backend.modality) and status in (None, "active")
    ]
    found, pagination = page(models, lambda model: model.frontend.slug, limit=limit, cursor=cursor)
    states = backend_states(hub)
    items = [model_card(model, states, hub.estimates) for model in found]
    return Json(success({"items": items}, request_id(request), pagination))


@router.get("/v1/models/{slug:path}")
async def get_model(request: Request, slug: Annotated[str, Path(max_length=200)]) -> Json:
    """One model. Slashes of the slug may be sent raw or as `%2F`. Needs `models:list`."""
    caller = require(request, Permission.MODELS_LIST)
    hub = services(request)
    model = find_model(hub.catalog.backends.values(), slug, caller)
    card = model_card(model, backend_states(hub), hub.estimates)
    return Json(success(card, request_id(request)))
