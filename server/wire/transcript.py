"""A whole transcript and its members as OpenAI's `verbose_json` names them. Pure; knows no dialect."""

from collections.abc import Sequence

import msgspec

from engines.contract.requests import Item
from engines.contract.transcribe import Segment, TranscriptInfo, Word
from engines.contract.types import Usage

_FRAMES_PER_S = 100  # of `seek`, as Whisper counts


class Transcript(msgspec.Struct, frozen=True):
    """What was heard in one file."""

    info: TranscriptInfo
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()


def transcript(items: Sequence[Item]) -> Transcript:
    info = next((item for item in items if isinstance(item, TranscriptInfo)), TranscriptInfo("", 0.0, 0.0))
    return Transcript(info, tuple(item for item in items if isinstance(item, Segment)))


def verbose(heard: Transcript, task: str, *, has_segments: bool, has_words: bool) -> dict[str, object]:
    body: dict[str, object] = {
        "task": task,
        "language": heard.info.language,
        "duration": round(heard.info.duration_s, 3),
        "text": heard.text,
    }
    if has_segments:
        body["segments"] = [_segment(segment) for segment in heard.segments]
    if has_words:
        body["words"] = [_word(word) for segment in heard.segments for word in segment.words]
    return body


def duration_usage(usage: Usage) -> dict[str, object]:
    """OpenAI's usage of models that are paid by the length of the sound."""
    return {"type": "duration", "seconds": round(usage.audio_s, 3)}


def _segment(segment: Segment) -> dict[str, object]:
    return {
        "id": segment.index,
        "seek": round(segment.start_s * _FRAMES_PER_S),
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _word(word: Word) -> dict[str, object]:
    return {"word": word.text.strip(), "start": word.start_s, "end": word.end_s}
