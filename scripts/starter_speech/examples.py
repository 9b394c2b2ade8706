"""Training examples: a text's ids with their durations and sounds, and the spectrogram and pitch of its speech."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import soxr
from numpy.typing import NDArray
from starter_voice.espeak import SAMPLE_RATE_HZ as TEACHER_RATE_HZ
from TTS.tts.models.forward_tts import ForwardTTS
from TTS.tts.utils.text.cleaners import english_cleaners

from starter_speech.alignment import Aligner
from starter_speech.model import HOP_LENGTH, SAMPLE_RATE_HZ
from starter_speech.pitch import find_pitch
from starter_speech.timing import PAUSE, split_groups, time_characters
from starter_speech.voice import Spoken, Voice

SILENCE_BEFORE_S, SILENCE_AFTER_S = 0.05, 0.2
MAX_SOUNDS = 400
OTHER_SOUND = -100
"""What cross_entropy ignores."""


@dataclass(frozen=True)
class Example:
    text: str
    ids: list[int]
    """Characters between the marks of beginning and end."""
    durations: list[int]
    """Frames of each id, at least 1."""
    sounds: list[int]
    """What each id sounds like: its place in `Teacher.sounds`, or OTHER_SOUND."""
    mel: NDArray[np.float32]
    """`(frames, NUM_MELS)`, normalised as Coqui's AudioProcessor does."""
    pitch: NDArray[np.float32]
    """`(frames,)`: see `find_pitch`."""


class Teacher:
    """Speaks texts and tells when each character sounds; what it knows of spelling it learns at the start."""

    def __init__(self, model: ForwardTTS, texts: list[str]) -> None:
        """Learns the alignment of letters and phonemes from ``texts``. Takes some 10 ms a text."""
        self._voice = Voice()
        self._tokenizer, self._audio = model.tokenizer, model.ap
        spoken = [split_groups(text, self._voice.speak(text)) for text in texts]
        self._aligner = Aligner(group.pair for groups in spoken for group in groups if group.phonemes)
        timed = (time_characters(groups, self._aligner, 0) for groups in spoken if groups)
        heard = Counter(sound for timing in timed if timing for sound in timing.sounds)
        self.sounds = {sound: place for place, (sound, _) in enumerate(heard.most_common(MAX_SOUNDS))}

    def make(self, text: str) -> Example | None:
        """None for the few texts that cannot be timed or that Coqui's text cleaner would change."""
        if english_cleaners(text) != text:
            return None
        spoken = self._voice.speak(text)
        groups = split_groups(text, spoken)
        timed = time_characters(groups, self._aligner, len(spoken.samples)) if groups else None
        if timed is None:
            return None
        samples = with_silence(spoken)
        mel = self._audio.melspectrogram(samples).T
        ids = self._tokenizer.text_to_ids(text)
        durations = spread_frames(
            [0, *(_frame(start) for start in timed.starts), _frame(len(spoken.samples))], len(mel)
        )
        sounds = [self.sounds.get(sound, OTHER_SOUND) for sound in (PAUSE, *timed.sounds, PAUSE)]
        pitch = find_pitch(samples, sample_rate_hz=SAMPLE_RATE_HZ, hop_length=HOP_LENGTH)
        return Example(text, ids, durations, sounds, mel, pitch)

    def make_all(self, draw: Callable[[Random], str], rng: Random) -> Iterator[Example]:
        """Endless."""
        while True:
            if (example := self.make(draw(rng))) is not None:
                yield example


def with_silence(spoken: Spoken) -> NDArray[np.float32]:
    """At SAMPLE_RATE_HZ, with silence at both ends."""
    samples = soxr.resample(spoken.samples, TEACHER_RATE_HZ, SAMPLE_RATE_HZ)
    before, after = int(SILENCE_BEFORE_S * SAMPLE_RATE_HZ), int(SILENCE_AFTER_S * SAMPLE_RATE_HZ)
    return np.pad(samples, (before, after))


def _frame(teacher_sample: int) -> int:
    return round((teacher_sample / TEACHER_RATE_HZ + SILENCE_BEFORE_S) * SAMPLE_RATE_HZ / HOP_LENGTH)


def spread_frames(starts: list[int], num_frames: int) -> list[int]:
    """At least one frame each, moved as little as that needs; all together ``num_frames``."""
    bounds = [*starts, num_frames]
    for place in range(1, len(bounds)):
        bounds[place] = max(bounds[place], bounds[place - 1] + 1)
    bounds[-1] = num_frames
    for place in range(len(bounds) - 2, 0, -1):
        bounds[place] = min(bounds[place], bounds[place + 1] - 1)
    return [after - before for before, after in pairwise(bounds)]
