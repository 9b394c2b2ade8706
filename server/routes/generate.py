"""POST /v1/inference/generate: body to contract, gateway, answer in the native dialect."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import REQUEST_ID, example_heading, native_inference
from server.wire.completion_body import GenerateBody, parse_generate
from server.wire.completion_render import NativeGenerate
from server.wire.heading import new_heading
from server.wire.json_body import body_docs, read_json

router = APIRouter(tags=["inference"])
_HEADING = example_heading("cmpl")
_ANSWERS = native_inference(NativeGenerate(_HEADING, REQUEST_ID), NativeGenerate(_HEADING, REQUEST_ID))


@router.post(
    "/v1/inference/generate", responses=_ANSWERS, openapi_extra=body_docs(GenerateBody, **examples.COMPLETION)
)
async def generate(request: Request) -> Response:
    """Continue a text, or up to 64 texts, without a chat template. Needs `models:use`.

    The answer is a `text_completion` in `data`; the choices of prompt number p are those from p times n on.
    """
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, GenerateBody)
    hub = services(request)
    return Answering(
        hub.gateway.run(body.model, parse_generate(body), caller),
        NativeGenerate(new_heading("cmpl", body.model), request_id(request)),
        is_streamed=bool(body.stream),
    )
