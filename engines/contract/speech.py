"""Text to speech: what a client's request becomes, what an engine answers, and the engine's protocol."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

import msgspec

from engines.contract.types import Priority, Usage

AudioFormat = Literal["mp3", "wav", "opus", "aac", "flac", "pcm"]


class SpeechRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="speech"):
    """Text to speak. `voice` None is the backend's default voice; `speed` is 0.25..4, 1 is the voice's own.

    `language` is an ISO 639-1 code for models of several languages, None the voice's own. `seed` makes models that draw
    at random repeat themselves.
    """

    text: str
    voice: str | None = None
    speed: float = 1.0
    audio_format: AudioFormat = "mp3"
    language: str | None = None
    seed: int | None = None


class AudioChunk(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The next bytes of the file, in order: all chunks together are one valid file. `duration_s` is the sound's length
    that went into the encoder since the chunk before.
    """

    data: bytes
    duration_s: float


class VoiceCard(msgspec.Struct, frozen=True):
    """A voice that clients may name. `language` None: of several languages, or not told."""

    voice_id: str
    display_name: str
    language: str | None
    is_default: bool


class SpeechEngine(Protocol):
    """An engine of modality `audio` that speaks. Awaiting validates and admits; iterating yields chunks as sentences
    are made, then exactly one `Usage`. Closing the generator stops before the next sentence.

    Its module also has a function `voices(spec, options) -> Sequence[VoiceCard]`, which reads its arguments only.
    """

    async def speak(
        self, request: SpeechRequest, priority: Priority
    ) -> AsyncGenerator[AudioChunk | Usage, None]: ...
