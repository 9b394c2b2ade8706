"""POST /v1/inference/images/generate: body to contract, gateway, answer in the native dialect."""

from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import base_url, request_id, require, services
from server.streaming import Answering, Running
from server.wire import examples
from server.wire.answer_docs import EXAMPLE_TIME, REQUEST_ID, image_answers
from server.wire.image_body import ImageBody, parse
from server.wire.image_render import NativeImages
from server.wire.json_body import body_docs, read_json
from server.wire.publishing import publishing

router = APIRouter(tags=["inference"])
_EXAMPLE_LINKS = {0: "http://localhost:8000/v1/media/TOKEN"}
_EXAMPLE = NativeImages("starter/image", REQUEST_ID, _EXAMPLE_LINKS, created=EXAMPLE_TIME)


@router.post(
    "/v1/inference/images/generate",
    responses=image_answers(_EXAMPLE, openai=False),
    openapi_extra=body_docs(ImageBody, **examples.IMAGE),
)
async def generate_images(request: Request) -> Response:
    """Draw pictures. Needs `models:use`.

    The answer has a link to each picture, or with `response_format: b64_json` the PNG file itself, and the seed that
    draws it again. With `stream: true` the events `image.progress` tell the steps, and `image.completed` each picture.
    """
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, ImageBody)
    hub = services(request)
    links: dict[int, str] = {}
    call: AbstractAsyncContextManager[Running] = hub.gateway.run(body.model, parse(body), caller)
    if body.response_format != "b64_json":
        call = publishing(call, hub.media, base_url(request), links)
    return Answering(
        call, NativeImages(body.model, request_id(request), links), is_streamed=bool(body.stream)
    )
