"""Speech to text: what a client's request becomes, what an engine answers, and the engine's protocol."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

import msgspec

from engines.contract.types import Priority, Usage


class AudioFile(msgspec.Struct, frozen=True):
    """A file of a client at `path`, an absolute path, to be read only. An upload is gone when its request has ended."""

    path: str
    size_bytes: int


class TranscribeRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="transcribe"):
    """Speech to write down, or with task `translate` to write down in English.

    `language` is an ISO 639-1 code, None to detect it. `prompt` is text that biases words and style. `temperature` None
    means the engine's own sequence of fallbacks.
    """

    audio: AudioFile
    task: Literal["transcribe", "translate"] = "transcribe"
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    word_timestamps: bool = False


class Word(msgspec.Struct, frozen=True, array_like=True):
    """Times are seconds from the beginning of the file; `probability` is 0..1."""

    text: str
    start_s: float
    end_s: float
    probability: float


class Segment(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A stretch of speech, in order of time; `text` keeps the model's leading space."""

    index: int
    start_s: float
    end_s: float
    text: str
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    words: tuple[Word, ...] = ()


class TranscriptInfo(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """About the whole file; comes before the first segment."""

    language: str
    language_probability: float
    duration_s: float


class TranscribeEngine(Protocol):
    """An engine of modality `audio` that hears. Awaiting validates, decodes and admits; iterating yields one
    `TranscriptInfo`, the segments as they are found, then exactly one `Usage`.

    Raises EngineError: VALIDATION_ERROR with field `file` for what is no sound, too long or too short.
    """

    async def transcribe(
        self, request: TranscribeRequest, priority: Priority
    ) -> AsyncGenerator[TranscriptInfo | Segment | Usage, None]: ...
