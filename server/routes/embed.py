"""POST /v1/inference/embed: texts to vectors, in the native dialect."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import REQUEST_ID, native_inference_errors, whole_answer
from server.wire.embed_body import EmbedBody, parse_embed
from server.wire.embed_render import NativeEmbed
from server.wire.json_body import body_docs, read_json

router = APIRouter(tags=["inference"])
_EXAMPLE = whole_answer(
    NativeEmbed("starter/embed", "float", REQUEST_ID), examples.VECTORS, examples.EMBED_USAGE
)


@router.post(
    "/v1/inference/embed",
    responses=_EXAMPLE | native_inference_errors(),
    openapi_extra=body_docs(EmbedBody, **examples.EMBED),
)
async def embed(request: Request) -> Response:
    """Turn texts into vectors, which are near each other where the texts mean the same. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, EmbedBody)
    hub = services(request)
    return Answering(
        hub.gateway.run(body.model, parse_embed(body), caller),
        NativeEmbed(body.model, body.encoding, request_id(request)),
        is_streamed=False,
    )
