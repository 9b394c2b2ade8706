"""POST /oai/v1/completions, also as /v1/completions: OpenAI's legacy text completion."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import example_heading, openai_inference
from server.wire.completion_body import CompletionBody, parse_completion
from server.wire.completion_render import OpenAICompletion
from server.wire.heading import new_heading
from server.wire.json_body import body_docs, read_json

router = APIRouter(tags=["openai"])
_HEADING = example_heading("cmpl")
_ANSWERS = openai_inference(
    OpenAICompletion(_HEADING, includes_usage=False), OpenAICompletion(_HEADING, includes_usage=True)
)


@router.post("/v1/completions", include_in_schema=False)
@router.post(
    "/oai/v1/completions", responses=_ANSWERS, openapi_extra=body_docs(CompletionBody, **examples.COMPLETION)
)
async def completions(request: Request) -> Response:
    """Continue a text or a list of up to 64 texts or token lists. `/v1/completions` is the same.

    Needs `models:use`.
    """
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, CompletionBody)
    hub = services(request)
    return Answering(
        hub.gateway.run(body.model, parse_completion(body), caller),
        OpenAICompletion(new_heading("cmpl", body.model), includes_usage=body.includes_usage),
        is_streamed=bool(body.stream),
    )
