"""POST /oai/v1/audio/transcriptions and translations, also below /v1: OpenAI's speech to text."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.http.uploads import UploadRoute
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import openai_inference
from server.wire.form_body import form_docs, read_form
from server.wire.transcribe_body import Task, TranscribeForm, parse
from server.wire.transcript_render import OpenAITranscript

router = APIRouter(tags=["openai"], route_class=UploadRoute)
_FORM = TranscribeForm.model_validate({"model": "starter/transcribe"})
_ANSWERS = openai_inference(
    OpenAITranscript(_FORM, "transcribe"),
    OpenAITranscript(_FORM, "transcribe"),
    items=examples.TRANSCRIPT,
    usage=examples.TRANSCRIPT_USAGE,
)
_DOCS = form_docs(TranscribeForm, **examples.TRANSCRIBE)


@router.post("/v1/audio/transcriptions", include_in_schema=False)
@router.post("/oai/v1/audio/transcriptions", responses=_ANSWERS, openapi_extra=_DOCS)
async def transcriptions(request: Request) -> Response:
    """Write down what is said. `/v1/audio/transcriptions` is the same. Needs `models:use`.

    `text`, `srt` and `vtt` are answered as plain files, `json` (the default) and `verbose_json` as JSON.
    """
    return await _answer(request, "transcribe")


@router.post("/v1/audio/translations", include_in_schema=False)
@router.post("/oai/v1/audio/translations", responses=_ANSWERS, openapi_extra=_DOCS)
async def translations(request: Request) -> Response:
    """Write down in English what is said in another language. `/v1/audio/translations` is the same.

    `language` is that of the sound. Needs `models:use`.
    """
    return await _answer(request, "translate")


async def _answer(request: Request, task: Task) -> Response:
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    form, upload, _ = await read_form(request, TranscribeForm, hub.uploads.open)
    return Answering(
        hub.gateway.run(form.model, parse(form, upload, task), caller),
        OpenAITranscript(form, task),
        is_streamed=bool(form.stream),
    )
