"""What the exported folder writes down of recordings, asked through faster-whisper as a server asks it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from starter_transcribe.recordings import Kind, Recording
from starter_transcribe.sounds import SAMPLE_RATE_HZ

MOST_TOKENS = 220
"""More than half a minute of speech has; a model that has learnt nothing would go on to twice as many."""


@dataclass(frozen=True)
class Score:
    kind: str
    num_asked: int
    word_error_rate: float
    num_exact: int
    num_language_right: int


@dataclass(frozen=True)
class Times:
    """How far off times are on average, of recordings whose sentences came out as one segment each."""

    num_segments: int
    segment_start_s: float
    segment_end_s: float
    first_word_start_s: float
    last_word_end_s: float
    are_words_in_order: bool


def load(folder: Path, *, compute_type: str = "float32") -> WhisperModel:
    return WhisperModel(
        str(folder), device="cpu", cpu_threads=1, compute_type=compute_type, local_files_only=True
    )


def evaluate(
    model: WhisperModel, kind: Kind, *, name: str, seed: int, share: float, **options: object
) -> Score:
    """``share`` of the kind's recordings, at least one; ``options`` go to faster-whisper."""
    rng = Random(f"{seed}/{kind.name}")
    num_asked = max(1, round(share * kind.num_recordings))
    num_words = num_errors = num_exact = num_language_right = 0
    for _ in range(num_asked):
        recording = kind.draw(rng)
        segments, language = transcribe(model, recording, **options)
        expected, actual = recording.text.split(), " ".join(segment.text for segment in segments).split()
        num_words += len(expected)
        errors = num_word_errors(expected, actual)
        num_errors += errors
        num_exact += errors == 0
        num_language_right += language == recording.language
    return Score(name, num_asked, num_errors / max(1, num_words), num_exact, num_language_right)


def evaluate_times(model: WhisperModel, kind: Kind, *, seed: int, share: float) -> Times:
    rng = Random(f"{seed}/{kind.name}")
    errors, are_in_order = [], True
    for _ in range(max(1, round(share * kind.num_recordings))):
        recording = kind.draw(rng)
        timed, _ = transcribe(model, recording, word_timestamps=True)
        are_in_order &= _are_in_order(timed, len(recording.audio) / SAMPLE_RATE_HZ)
        plain, _ = transcribe(model, recording)
        if len(recording.times_s) == len(timed) == len(plain):
            errors += list(map(_time_errors, recording.times_s, plain, timed))
    means = [sum(column) / len(errors) for column in zip(*errors, strict=True)] or [math.inf] * 4
    return Times(len(errors), *means, are_in_order)


def transcribe(model: WhisperModel, recording: Recording, **options: object) -> tuple[list[Segment], str]:
    audio = BytesIO(recording.audio) if isinstance(recording.audio, bytes) else recording.audio
    greedy = {
        "beam_size": 1,
        "temperature": 0,
        "condition_on_previous_text": False,
        "max_new_tokens": MOST_TOKENS,
    }
    segments, info = model.transcribe(audio, **(greedy | options))
    return list(segments), info.language


def num_word_errors(expected: Sequence[str], actual: Sequence[str]) -> int:
    """Levenshtein's distance between lists of words."""
    row = list(range(len(actual) + 1))
    for index, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], index
        for place, other in enumerate(actual, 1):
            substituted = diagonal + (word != other)
            diagonal = row[place]
            row[place] = min(diagonal + 1, row[place - 1] + 1, substituted)
    return row[-1]


def _time_errors(
    spoken: tuple[float, float], plain: Segment, timed: Segment
) -> tuple[float, float, float, float]:
    """Asking for words' times moves the segments' own, so these come from a ``plain`` one."""
    start_s, end_s = spoken
    words = timed.words or ()
    return (
        abs(plain.start - start_s),
        abs(plain.end - end_s),
        abs(words[0].start - start_s),
        abs(words[-1].end - end_s),
    )


def _are_in_order(segments: list[Segment], duration_s: float) -> bool:
    """Whether words follow each other inside the sound; the last may end in its last half second's padding."""
    words = [word for segment in segments for word in segment.words or ()]
    marks = [mark for word in words for mark in (word.start, word.end)]
    return marks == sorted(marks) and all(0 <= mark <= duration_s + 0.5 for mark in marks)
