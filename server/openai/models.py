"""GET /oai/v1/models and /oai/v1/models/{id}: the models in OpenAI's shape, with their limits."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from server.caller import Permission
from server.deps import require, services
from server.envelope import Json
from server.wire.answer_docs import openai_listing
from server.wire.listing import find_model, usable_models
from server.wire.model_card import openai_model_card

router = APIRouter(tags=["openai"], responses=openai_listing())


@router.get("/oai/v1/models")
async def list_models(request: Request) -> Json:
    """The models that this key may use. Needs `models:list`."""
    caller = require(request, Permission.MODELS_LIST)
    models = usable_models(services(request).catalog.backends.values(), caller)
    return Json({"object": "list", "data": [openai_model_card(model) for model in models]})


@router.get("/oai/v1/models/{model_id:path}")
async def get_model(request: Request, model_id: Annotated[str, Path(max_length=200)]) -> Json:
    """One model. Slashes may be sent raw or as `%2F`. Needs `models:list`."""
    caller = require(request, Permission.MODELS_LIST)
    model = find_model(services(request).catalog.backends.values(), model_id, caller)
    return Json(openai_model_card(model))
