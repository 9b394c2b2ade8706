"""POST /v1/inference/audio/transcribe: a form with a sound file to contract, gateway, answer in the native dialect."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.http.uploads import UploadRoute
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import REQUEST_ID, native_inference
from server.wire.form_body import form_docs, read_form
from server.wire.transcribe_body import NativeTranscribeForm, parse
from server.wire.transcript_render import NativeTranscript

router = APIRouter(tags=["inference"], route_class=UploadRoute)
_FORM = NativeTranscribeForm.model_validate({"model": "starter/transcribe"})
_ANSWERS = native_inference(
    NativeTranscript(_FORM, "transcribe", request_id=REQUEST_ID, accept=""),
    NativeTranscript(_FORM, "transcribe", request_id=REQUEST_ID, accept=""),
    items=examples.TRANSCRIPT,
    usage=examples.TRANSCRIPT_USAGE,
)


@router.post(
    "/v1/inference/audio/transcribe",
    responses=_ANSWERS,
    openapi_extra=form_docs(NativeTranscribeForm, **examples.TRANSCRIBE),
)
async def transcribe(request: Request) -> Response:
    """Write down what is said in a sound file, or in the sound of a film. Needs `models:use`.

    `response_format`: `text` (the default) and `json` give `text`, `language` and `duration`; `verbose_json` adds
    segments and words with their times; `srt` and `vtt` give a subtitle file in `text`. Who sends `Accept: text/plain`,
    `text/vtt` or `application/x-subrip` gets the file itself. With `stream: true` the text comes as it is found, as
    `transcript.text.delta` events and one `transcript.text.done`.
    """
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    form, upload, _ = await read_form(request, NativeTranscribeForm, hub.uploads.open)
    task = form.task or "transcribe"
    accept = request.headers.get("accept", "")
    return Answering(
        hub.gateway.run(form.model, parse(form, upload, task), caller),
        NativeTranscript(form, task, request_id=request_id(request), accept=accept),
        is_streamed=bool(form.stream),
    )
