"""Answers of a transcription as bytes: five formats and OpenAI's events, one class per dialect."""

from collections.abc import Mapping, Sequence

from engines.contract.requests import Item
from engines.contract.transcribe import Segment
from engines.contract.types import Usage
from server.envelope import error_frame, success, to_json
from server.errors import ServiceError
from server.streaming import EVENTS, JSON
from server.wire.subtitles import srt, vtt
from server.wire.transcribe_body import Task, TranscribeForm
from server.wire.transcript import Transcript, duration_usage, transcript, verbose

_RAW_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


class _Events:
    """The stream, the same in both dialects: a delta for each segment, then the whole text."""

    stream_format = EVENTS
    _is_openai = True

    def __init__(self, form: TranscribeForm, task: Task) -> None:
        self._form = form
        self._task = task
        self._text = ""

    def items(self, items: Sequence[Item]) -> bytes:
        """The first delta begins with a word, not with a space."""
        frames = []
        for item in items:
            if isinstance(item, Segment):
                delta = item.text if self._text else item.text.lstrip()
                self._text += delta
                frames.append(_frame({"type": "transcript.text.delta", "delta": delta}))
        return b"".join(frames)

    def end(self, usage: Usage) -> bytes:
        done = {"type": "transcript.text.done", "text": self._text.strip(), "usage": duration_usage(usage)}
        return _frame(done)

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=self._is_openai)

    def _verbose(self, heard: Transcript, usage: Usage) -> dict[str, object]:
        has_segments, has_words = self._form.wants_segments, self._form.wants_words
        body = verbose(heard, self._task, has_segments=has_segments, has_words=has_words)
        return body | {"usage": duration_usage(usage)}


class OpenAITranscript(_Events):
    """`Renderer` of POST /oai/v1/audio/transcriptions and translations: text and subtitles are raw, the rest JSON."""

    def __init__(self, form: TranscribeForm, task: Task) -> None:
        super().__init__(form, task)
        self.whole_type = _RAW_TYPES.get(form.response_format or "json", JSON)

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        heard = transcript(items)
        match self._form.response_format:
            case "verbose_json":
                return to_json(self._verbose(heard, usage))
            case "text" | "srt" | "vtt" as kind:
                return _as_file(heard, kind)
            case _:
                return to_json({"text": heard.text, "usage": duration_usage(usage)})


class NativeTranscript(_Events):
    """`Renderer` of POST /v1/inference/audio/transcribe: the envelope, or a raw file for who accepts that type."""

    _is_openai = False

    def __init__(self, form: TranscribeForm, task: Task, *, request_id: str, accept: str) -> None:
        super().__init__(form, task)
        self._request_id = request_id
        raw_type = _RAW_TYPES.get(form.response_format or "")
        self._is_raw = raw_type is not None and _accepts(accept, raw_type)
        self.whole_type = raw_type if raw_type is not None and self._is_raw else JSON

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        heard = transcript(items)
        kind = self._form.response_format or "text"
        if self._is_raw:
            return _as_file(heard, kind)
        if kind == "verbose_json":
            data = self._verbose(heard, usage)
        else:
            text = heard.text if kind == "json" else _as_file(heard, kind).decode()
            data = {
                "text": text,
                "language": heard.info.language,
                "duration": round(heard.info.duration_s, 3),
            }
        return to_json(success(data, self._request_id))


def _as_file(heard: Transcript, kind: str) -> bytes:
    text = srt(heard.segments) if kind == "srt" else vtt(heard.segments) if kind == "vtt" else heard.text
    return text.encode("utf-8", "replace")


def _accepts(accept: str, raw_type: str) -> bool:
    """Whether the client names the file's own type, or plain text; `*/*` is what everybody sends."""
    named = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(named & {raw_type.partition(";")[0], "text/plain"})


def _frame(data: Mapping[str, object]) -> bytes:
    return b"data: " + to_json(data) + b"\n\n"
