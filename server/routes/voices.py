"""GET /v1/audio/voices: which voices the models speak with."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from server.caller import Permission
from server.deps import request_id, require, services
from server.envelope import Json, success
from server.wire.answer_docs import native_listing
from server.wire.listing import find_model
from server.wire.paging import DEFAULT_LIMIT, MAX_LIMIT, page
from server.wire.voice_list import usable_voices

router = APIRouter(tags=["models"], responses=native_listing())


@router.get("/v1/audio/voices")
async def list_voices(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    language: Annotated[str | None, Query(max_length=10)] = None,
) -> Json:
    """The voices of all models that this key may use, by model and name. Needs `models:list`.

    `language` is null for a voice that speaks several, or whose language is not told.
    """
    caller = require(request, Permission.MODELS_LIST)
    backends = services(request).catalog.backends.values()
    if model is not None:
        find_model(backends, model, caller)
    voices = usable_voices(backends, caller, model=model, language=language)
    found, pagination = page(voices, lambda voice: voice.sort_key, limit=limit, cursor=cursor)
    return Json(success({"items": [voice.fields() for voice in found]}, request_id(request), pagination))
