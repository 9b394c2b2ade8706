"""Measures the starter speech model on sentences it never heard: spectrogram, length, speed and what is understood."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from starter_voice.espeak import SAMPLE_RATE_HZ as TEACHER_RATE_HZ
from starter_voice.espeak import say
from starter_voice.sentences import draw_sentence
from TTS.tts.models.forward_tts import ForwardTTS

from starter_speech.batches import collate
from starter_speech.examples import Example, Teacher
from starter_speech.model import SAMPLE_RATE_HZ
from starter_speech.texts import draw_free_sentence, invent_word

HEARD_RATE_HZ = 16000
"""What faster-whisper takes."""
DECIBELS_PER_UNIT = 100 / 8
"""Coqui's normalisation maps 100 dB to -4..4."""
SHORT_SENTENCE = "good morning."

Speech = NDArray[np.float32]
Hear = Callable[[Speech], str]


@dataclass(frozen=True)
class Likeness:
    """How near the model comes to its teacher for one kind of text."""

    kind: str
    mel_error_db: float
    """Mean absolute difference in each band, when the durations are the teacher's."""
    length_error: float
    """Of a sentence's duration, relative, mean absolute."""


@dataclass(frozen=True)
class Understanding:
    """Word error rates of one transcriber, for the same sentences spoken in three ways."""

    num_sentences: int
    teacher: float
    teacher_through_griffin_lim: float
    model: float
    exact_sentences: float
    """The share of the model's sentences that are understood without an error."""


@dataclass(frozen=True)
class Speed:
    real_time_factor: float
    """CPU seconds of one thread per second of speech."""
    short_sentence_s: float
    """CPU seconds for SHORT_SENTENCE."""


def compare(model: ForwardTTS, teacher: Teacher, *, seed: int, num_sentences: int) -> list[Likeness]:
    """Closed world held out, free sentences and invented words, ``num_sentences`` of each."""
    kinds: dict[str, Callable[[Random], str]] = {
        "held-out sentences": draw_held_out,
        "free sentences": lambda rng: draw_free_sentence(rng) + ".",
        "invented words": lambda rng: f"{invent_word(rng)} {invent_word(rng)}.",
    }
    return [
        _compare_kind(model, kind, _take(teacher, draw, Random(f"{kind} {seed}"), num_sentences))
        for kind, draw in kinds.items()
    ]


def understand(model: ForwardTTS, hear: Hear, *, seed: int, num_sentences: int) -> Understanding:
    """Needs espeak-ng."""
    rng = Random(f"understanding {seed}")
    texts = [draw_held_out(rng) for _ in range(num_sentences)]
    taught = [soxr.resample(say(text), TEACHER_RATE_HZ, SAMPLE_RATE_HZ) for text in texts]
    ways = {
        "teacher": taught,
        "griffin_lim": [model.ap.inv_melspectrogram(model.ap.melspectrogram(speech)) for speech in taught],
        "model": [speak(model, text) for text in texts],
    }
    errors = {way: _count_errors(texts, spoken, hear) for way, spoken in ways.items()}
    num_words = sum(len(text.split()) for text in texts)
    return Understanding(
        num_sentences=num_sentences,
        teacher=sum(errors["teacher"]) / num_words,
        teacher_through_griffin_lim=sum(errors["griffin_lim"]) / num_words,
        model=sum(errors["model"]) / num_words,
        exact_sentences=sum(count == 0 for count in errors["model"]) / num_sentences,
    )


def time_speech(model: ForwardTTS, *, seed: int, num_sentences: int) -> Speed:
    rng = Random(f"speed {seed}")
    speak(model, SHORT_SENTENCE)  # the first call pays for loading
    started, num_samples = time.process_time(), 0
    for _ in range(num_sentences):
        num_samples += len(speak(model, draw_held_out(rng)))
    spent_s = time.process_time() - started
    started = time.process_time()
    speak(model, SHORT_SENTENCE)
    return Speed(spent_s * SAMPLE_RATE_HZ / num_samples, time.process_time() - started)


def speak(model: ForwardTTS, text: str) -> Speech:
    """As Coqui does it without a vocoder; the same every time, because Griffin-Lim's random start is fixed."""
    np.random.seed(0)
    return np.asarray(model.synthesize(text, use_griffin_lim=True)["wav"], np.float32)


def draw_held_out(rng: Random) -> str:
    return draw_sentence(rng, "en", held_out=True).text + "."


def load_transcriber(folder: Path) -> Hear:
    """A Whisper for faster-whisper, such as the starter transcriber."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", cpu_threads=1, local_files_only=True)

    def hear(speech: Speech) -> str:
        heard = soxr.resample(speech, SAMPLE_RATE_HZ, HEARD_RATE_HZ)
        segments, _ = model.transcribe(
            heard,
            language="en",
            beam_size=1,
            temperature=0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text for segment in segments)

    return hear


def count_word_errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """Words to change, to add or to leave out (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(expected):
        above, row = row, [place + 1]
        for other, said in enumerate(heard):
            row.append(min(above[other] + (word != said), above[other + 1] + 1, row[other] + 1))
    return row[-1]


def _count_errors(texts: list[str], spoken: list[Speech], hear: Hear) -> list[int]:
    return [
        count_word_errors(text.rstrip(".").split(), hear(speech.astype(np.float32)).split())
        for text, speech in zip(texts, spoken, strict=True)
    ]


def _take(teacher: Teacher, draw: Callable[[Random], str], rng: Random, num_examples: int) -> list[Example]:
    examples = teacher.make_all(draw, rng)
    return [next(examples) for _ in range(num_examples)]


def _compare_kind(model: ForwardTTS, kind: str, examples: list[Example]) -> Likeness:
    mel_errors, length_errors = [], []
    for example in examples:
        batch = collate([example])
        with torch.inference_mode():
            outputs = model(batch.ids, batch.num_ids, batch.num_frames, dr=batch.durations)
        mel_errors.append((outputs["model_outputs"] - batch.mels).abs().mean().item())
        length = outputs["durations"].round().clamp(min=1).sum().item()
        length_errors.append(abs(length - len(example.mel)) / len(example.mel))
    return Likeness(kind, float(np.mean(mel_errors)) * DECIBELS_PER_UNIT, float(np.mean(length_errors)))
