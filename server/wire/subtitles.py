"""Subtitle files from timed segments: SubRip and WebVTT. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engines.contract.transcribe import Segment


class Cue(NamedTuple):
    """Times in whole milliseconds, the end after the start; `text` is one line."""

    start_ms: int
    end_ms: int
    text: str


def srt(segments: Iterable[Segment]) -> str:
    """Cues are numbered from 1; players take tags as they like, so nothing is escaped."""
    cues = (
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{cue.text}\n"
        for number, cue in enumerate(_cues(segments), start=1)
    )
    return "\n".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """`&` and `<` are markup there, `-->` is no text."""
    cues = (
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_escaped(cue.text)}\n"
        for cue in _cues(segments)
    )
    return "WEBVTT\n\n" + "\n".join(cues)


def _cues(segments: Iterable[Segment]) -> Iterator[Cue]:
    """Without empty ones; line breaks of the model would end a cue."""
    for segment in segments:
        text = " ".join(segment.text.split())
        start_ms = max(0, round(segment.start_s * 1000))
        if text:
            yield Cue(start_ms, max(start_ms + 1, round(segment.end_s * 1000)), text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"
