"""Spoken answers as bytes: the sound file itself, or server-sent events that carry it. Knows no route."""

import base64
from collections.abc import Sequence

from engines.contract.requests import Item
from engines.contract.speech import AudioChunk, AudioFormat
from engines.contract.types import Usage
from server.envelope import error_frame, to_json
from server.errors import ServiceError
from server.streaming import EVENTS, Renderer, StreamFormat
from server.wire.speech_body import SpeechBody

CONTENT_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "pcm": "audio/pcm",
}


def speech_renderer(body: SpeechBody, *, openai: bool) -> Renderer:
    """`openai` decides how an event stream tells a failure; a sound file cannot tell one."""
    return SpeechEvents(openai=openai) if body.stream_format == "sse" else SpeechFile(body.audio_format)


class SpeechFile:
    """The bytes as they come."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.stream_format = StreamFormat(CONTENT_TYPES[audio_format])
        self.whole_type = CONTENT_TYPES[audio_format]

    def items(self, items: Sequence[Item]) -> bytes:
        return b"".join(item.data for item in items if isinstance(item, AudioChunk))

    def end(self, usage: Usage) -> bytes:
        return b""

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return self.items(items)

    def failure(self, error: ServiceError) -> None:
        """Whatever was sent would be heard: the stream is cut off instead."""


class SpeechEvents:
    """OpenAI's `speech.audio.delta` and `speech.audio.done`. All deltas together are one file."""

    stream_format = EVENTS
    whole_type = EVENTS.content_type

    def __init__(self, *, openai: bool) -> None:
        self._openai = openai

    def items(self, items: Sequence[Item]) -> bytes:
        return b"".join(_delta(item) for item in items if isinstance(item, AudioChunk))

    def end(self, usage: Usage) -> bytes:
        """`seconds` is ours: models of speech count no tokens."""
        told = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "seconds": usage.audio_s,
        }
        return b"data: " + to_json({"type": "speech.audio.done", "usage": told}) + b"\n\n"

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return self.items(items) + self.end(usage) + self.stream_format.last

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=self._openai)


def _delta(chunk: AudioChunk) -> bytes:
    # Base64 needs no escaping, and a second pass over it costs as much as the first.
    return b'data: {"type":"speech.audio.delta","audio":"' + base64.b64encode(chunk.data) + b'"}\n\n'
