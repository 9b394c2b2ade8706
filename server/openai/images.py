"""POST /oai/v1/images/generations, also as /v1/images/generations: OpenAI's images from text."""

from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import base_url, require, services
from server.streaming import Answering, Running
from server.wire import examples
from server.wire.answer_docs import EXAMPLE_TIME, image_answers
from server.wire.image_body import ImageBody, parse
from server.wire.image_render import OpenAIImages
from server.wire.json_body import body_docs, read_json
from server.wire.publishing import publishing

router = APIRouter(tags=["openai"])
_EXAMPLE_LINKS = {0: "http://localhost:8000/v1/media/TOKEN"}
_EXAMPLE = OpenAIImages("starter/image", _EXAMPLE_LINKS, created=EXAMPLE_TIME)


@router.post("/v1/images/generations", include_in_schema=False)
@router.post(
    "/oai/v1/images/generations",
    responses=image_answers(_EXAMPLE, openai=True),
    openapi_extra=body_docs(ImageBody, **examples.IMAGE),
)
async def image_generations(request: Request) -> Response:
    """Draw pictures. `/v1/images/generations` is the same. Needs `models:use`.

    With `stream: true` every picture is an `image_generation.completed` event with the file in `b64_json`.
    """
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, ImageBody)
    hub = services(request)
    links: dict[int, str] = {}
    call: AbstractAsyncContextManager[Running] = hub.gateway.run(body.model, parse(body), caller)
    if body.response_format != "b64_json" and not body.stream:
        call = publishing(call, hub.media, base_url(request), links)
    return Answering(call, OpenAIImages(body.model, links), is_streamed=bool(body.stream))
