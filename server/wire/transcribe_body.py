"""The form of a transcription request, one class per endpoint, and its translation into the contract. Pure."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from engines.contract.transcribe import AudioFile, TranscribeRequest
from server.errors import invalid
from server.wire.fields import ModelName
from server.wire.form_body import Form

ResponseFormat = Literal["text", "json", "verbose_json", "srt", "vtt"]
Granularity = Literal["segment", "word"]
Task = Literal["transcribe", "translate"]
_STREAMABLE = (None, "text", "json")


class TranscribeForm(Form):
    """OpenAI's transcription request, as far as Whisper can honour it."""

    model: ModelName
    language: Annotated[str, Field(max_length=16)] | None = Field(
        None, description="ISO 639-1 code of what is spoken; unset: it is detected"
    )
    prompt: Annotated[str, Field(max_length=16384)] | None = Field(
        None, description="Text that biases words and style; of a long one the end counts"
    )
    temperature: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Unset: 0, and higher ones in turn while the result is poor"
    )
    response_format: ResponseFormat | None = Field(None, description="What the answer is made of")
    timestamp_granularities: list[Granularity] | None = Field(
        None, description="`word` adds the times of words; only with verbose_json; default `segment`"
    )
    stream: bool | None = Field(None, description="Answer as server-sent events")
    chunking_strategy: Literal["auto"] | None = Field(None, description="Cuts are always made at pauses")

    lists: ClassVar[frozenset[str]] = frozenset({"timestamp_granularities"})
    refused: ClassVar[dict[str, str]] = {
        "include": "is not supported",
        "known_speaker_names": "is not supported",
        "known_speaker_references": "is not supported",
    }

    @property
    def wants_segments(self) -> bool:
        """Words are listed beside the segments, or instead of them if only they are asked for."""
        return not self.timestamp_granularities or "segment" in self.timestamp_granularities

    @property
    def wants_words(self) -> bool:
        return "word" in (self.timestamp_granularities or ())


class NativeTranscribeForm(TranscribeForm):
    task: Task | None = Field(None, description="`translate`: into English, by a model that can")


class SoundFile(Protocol):
    """An upload, or a file that the server keeps."""

    @property
    def path(self) -> Path: ...

    @property
    def size_bytes(self) -> int: ...


def parse(form: TranscribeForm, sound: SoundFile, task: Task) -> TranscribeRequest:
    """Raises VALIDATION_ERROR with the field at fault."""
    if form.timestamp_granularities and form.response_format != "verbose_json":
        raise invalid("timestamp_granularities", "is only allowed with response_format verbose_json")
    if form.stream and form.response_format not in _STREAMABLE:
        raise invalid("response_format", "must be json or text together with stream")
    return TranscribeRequest(
        audio=AudioFile(str(sound.path), sound.size_bytes),
        task=task,
        language=form.language.lower() if form.language else None,
        prompt=form.prompt,
        temperature=form.temperature,
        word_timestamps=form.wants_words,
    )
