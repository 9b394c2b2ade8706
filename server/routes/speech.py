"""POST /v1/inference/audio/synthesize: text to a sound file, sent as it is spoken."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering, begun
from server.wire import examples
from server.wire.json_body import body_docs, read_json
from server.wire.speech_body import SpeechBody, parse
from server.wire.speech_docs import native_speech
from server.wire.speech_render import speech_renderer

router = APIRouter(tags=["inference"])


@router.post(
    "/v1/inference/audio/synthesize",
    responses=native_speech(),
    openapi_extra=body_docs(SpeechBody, **examples.SPEECH),
)
async def synthesize(request: Request) -> Response:
    """Speak a text. Needs `models:use`.

    The answer is the sound file itself, without the envelope, sent sentence by sentence. Failures before the first
    sound are ordinary errors; a later one cuts the connection.
    """
    caller = require(request, Permission.MODELS_USE)
    body = await read_json(request, SpeechBody)
    hub = services(request)
    return Answering(
        begun(hub.gateway.run(body.model, parse(body), caller)),
        speech_renderer(body, openai=False),
        is_streamed=True,
    )
