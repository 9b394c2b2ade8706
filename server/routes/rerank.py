"""POST /v1/inference/rerank: documents by their relevance for a query, in the native dialect; beyond the reference."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import REQUEST_ID, native_inference_errors, whole_answer
from server.wire.json_body import body_docs, read_json
from server.wire.rerank_body import RerankBody, parse_rerank
from server.wire.rerank_render import NativeRerank, Ranking

router = APIRouter(tags=["inference"])
_RENDERER = NativeRerank("starter/rerank", Ranking(None, None), REQUEST_ID)


@router.post(
    "/v1/inference/rerank",
    responses=whole_answer(_RENDERER, examples.SCORES, examples.RERANK_USAGE) | native_inference_errors(),
    openapi_extra=body_docs(RerankBody, **examples.RERANK),
)
async def rerank(request: Request) -> Response:
    """Order documents by how well they answer a query, best first. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, RerankBody)
    hub = services(request)
    ranking = Ranking(body.top_n, body.repeated)
    return Answering(
        hub.gateway.run(body.model, parse_rerank(body), caller),
        NativeRerank(body.model, ranking, request_id(request)),
        is_streamed=False,
    )
