"""POST /oai/v1/audio/speech, also as /v1/audio/speech: OpenAI's text to speech."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering, begun
from server.wire import examples
from server.wire.json_body import body_docs, read_json
from server.wire.speech_body import SpeechBody, parse
from server.wire.speech_docs import openai_speech
from server.wire.speech_render import speech_renderer

router = APIRouter(tags=["openai"])


@router.post("/v1/audio/speech", include_in_schema=False)
@router.post(
    "/oai/v1/audio/speech",
    responses=openai_speech(),
    openapi_extra=body_docs(SpeechBody, **examples.SPEECH),
)
async def speech(request: Request) -> Response:
    """Speak a text. `/v1/audio/speech` is the same. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, SpeechBody)
    hub = services(request)
    return Answering(
        begun(hub.gateway.run(body.model, parse(body), caller)),
        speech_renderer(body, openai=True),
        is_streamed=True,
    )
