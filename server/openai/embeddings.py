"""POST /oai/v1/embeddings, also as /v1/embeddings: OpenAI's embeddings, as its SDKs speak them."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import openai_inference_errors, whole_answer
from server.wire.embed_body import EmbedBody, parse_embed
from server.wire.embed_render import OpenAIEmbed
from server.wire.json_body import body_docs, read_json

router = APIRouter(tags=["openai"])
_EXAMPLE = whole_answer(OpenAIEmbed("starter/embed", "float"), examples.VECTORS, examples.EMBED_USAGE)


@router.post("/v1/embeddings", include_in_schema=False)
@router.post(
    "/oai/v1/embeddings",
    responses=_EXAMPLE | openai_inference_errors(),
    openapi_extra=body_docs(EmbedBody, **examples.EMBED),
)
async def embeddings(request: Request) -> Response:
    """Turn texts into vectors. `/v1/embeddings` is the same. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, EmbedBody)
    hub = services(request)
    return Answering(
        hub.gateway.run(body.model, parse_embed(body), caller),
        OpenAIEmbed(body.model, body.encoding),
        is_streamed=False,
    )
