"""POST /oai/v1/rerank, also as /v1/rerank: in the shape of Cohere's API, which OpenAI's clients have no word for."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import example_heading, openai_inference_errors, whole_answer
from server.wire.heading import new_heading
from server.wire.json_body import body_docs, read_json
from server.wire.rerank_body import RerankBody, parse_rerank
from server.wire.rerank_render import CohereRerank, Ranking

router = APIRouter(tags=["openai"])
_RENDERER = CohereRerank(example_heading("rerank", "starter/rerank"), Ranking(None, None))


@router.post("/v1/rerank", include_in_schema=False)
@router.post(
    "/oai/v1/rerank",
    responses=whole_answer(_RENDERER, examples.SCORES, examples.RERANK_USAGE) | openai_inference_errors(),
    openapi_extra=body_docs(RerankBody, **examples.RERANK),
)
async def rerank(request: Request) -> Response:
    """Order documents by how well they answer a query. `/v1/rerank` is the same. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, RerankBody)
    hub = services(request)
    ranking = Ranking(body.top_n, body.repeated)
    return Answering(
        hub.gateway.run(body.model, parse_rerank(body), caller),
        CohereRerank(new_heading("rerank", body.model), ranking),
        is_streamed=False,
    )
