"""What the API's description says about spoken answers."""

from engines.contract.speech import AudioChunk
from engines.contract.types import Usage
from server.streaming import EVENTS
from server.wire.answer_docs import Responses, native_inference_errors, openai_inference_errors
from server.wire.speech_render import CONTENT_TYPES, SpeechEvents


def native_speech() -> Responses:
    return {200: _sound(openai=False)} | native_inference_errors()


def openai_speech() -> Responses:
    return {200: _sound(openai=True)} | openai_inference_errors()


def _sound(*, openai: bool) -> dict[str, object]:
    events = SpeechEvents(openai=openai)
    example = events.whole([AudioChunk(b"ID3", 1.5)], Usage(0, 0, audio_s=1.5)).decode()
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "description": "The sound, or with `stream_format: sse` its events",
        "content": {kind: binary for kind in CONTENT_TYPES.values()}
        | {EVENTS.content_type.partition(";")[0]: {"example": example}},
    }
