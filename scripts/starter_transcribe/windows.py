"""Windows of sound as a recorder would cut them: sentences with pauses between, noise, or nothing at all.

It knows nothing of tokens. A window is at most 30 s; times are seconds from its start.
"""

from dataclasses import dataclass, field
from random import Random

import numpy as np
from starter_voice.sentences import Language

from starter_transcribe.clips import Clip, Clips
from starter_transcribe.sounds import SAMPLE_RATE_HZ, Samples, draw_noise, low_passed
from starter_transcribe.tokenizer import WINDOW_S

CLEAN_SHARE = 0.3
LEFTOVER_SHARE = 0.1
LEAST_VISIBLE_S = 0.5


@dataclass(frozen=True)
class Spoken:
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Window:
    """``cut_off_s`` is where a sentence begins that the window's end cuts off."""

    samples: Samples
    language: Language | None
    spoken: list[Spoken] = field(default_factory=list)
    cut_off_s: float | None = None


class Mixer:
    def __init__(self, clips: Clips, rng: Random) -> None:
        self._clips = clips
        self._rng = rng
        self._by_language: dict[str, list[Clip]] = {"en": [], "de": []}
        for clip in clips.clips:
            self._by_language[clip.language].append(clip)

    def draw_texts(self, language: Language, num_texts: int) -> list[str]:
        return [clip.text for clip in self._rng.choices(self._by_language[language], k=num_texts)]

    def draw_speech(self, num_sentences: int, *, longest_s: float = WINDOW_S) -> Window:
        """Up to ``num_sentences``, fewer where the next might not fit whole."""
        language = self._rng.choice(self._clips.clips).language
        parts, spoken = [self._lead()], list[Spoken]()
        length = len(parts[0])
        for clip in self._rng.choices(self._by_language[language], k=num_sentences):
            if spoken and length + clip.num_samples > longest_s * SAMPLE_RATE_HZ:
                break
            start, length = length, length + clip.num_samples
            spoken.append(Spoken(clip.text, start / SAMPLE_RATE_HZ, length / SAMPLE_RATE_HZ))
            pause = self._pause()
            parts += [self._clips.sound(clip) * np.float32(self._rng.uniform(0.8, 1.2)), pause]
            length += len(pause)
        if self._rng.random() < 0.8:
            parts[-1] = self._silence(self._rng.uniform(0, 0.6))
        samples = np.concatenate(parts)[: WINDOW_S * SAMPLE_RATE_HZ]
        return Window(self._worn(samples), language, spoken)

    def draw_full_speech(self) -> Window:
        """Thirty seconds out of a longer recording: the last sentence may be cut off."""
        whole = WINDOW_S * SAMPLE_RATE_HZ
        language = self._rng.choice(self._clips.clips).language
        parts, spoken, cut_off_s = [self._lead()], list[Spoken](), None
        length = len(parts[0])
        while length < whole:
            clip = self._rng.choice(self._by_language[language])
            start, length = length, length + clip.num_samples
            parts += [self._clips.sound(clip), self._pause()]
            if length <= whole:
                spoken.append(Spoken(clip.text, start / SAMPLE_RATE_HZ, length / SAMPLE_RATE_HZ))
            elif whole - start < LEAST_VISIBLE_S * SAMPLE_RATE_HZ:
                parts[-2] = np.zeros(clip.num_samples, np.float32)
            else:
                cut_off_s = start / SAMPLE_RATE_HZ
            length += len(parts[-1])
        return Window(self._worn(np.concatenate(parts)[:whole]), language, spoken, cut_off_s)

    def draw_nothing(self, *, longest_s: float) -> Window:
        """Silence or noise."""
        num_samples = int(self._rng.uniform(0.3, longest_s) * SAMPLE_RATE_HZ)
        samples = np.zeros(num_samples, np.float32)
        if self._rng.random() < 0.8:
            loudness = 10 ** self._rng.uniform(-4.5, -0.7)
            samples += np.float32(loudness) * draw_noise(self._numbers(), num_samples)
        return Window(samples, None)

    def _numbers(self) -> np.random.Generator:
        return np.random.default_rng(self._rng.getrandbits(32))

    def _silence(self, seconds: float) -> Samples:
        return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)

    def _lead(self) -> Samples:
        """Silence before the first word; sometimes the very end of a word that an earlier window held."""
        silence = self._silence(self._rng.uniform(0, 0.6 if self._rng.random() < 0.85 else 2.0))
        if self._rng.random() > LEFTOVER_SHARE:
            return silence
        clip = self._rng.choice(self._clips.clips)
        leftover = self._clips.sound(clip)[-int(self._rng.uniform(0.02, 0.12) * SAMPLE_RATE_HZ) :]
        return np.concatenate([leftover, self._silence(0.1), silence])

    def _pause(self) -> Samples:
        return self._silence(
            self._rng.uniform(0.1, 1.2) if self._rng.random() < 0.8 else self._rng.uniform(1, 3)
        )

    def _worn(self, samples: Samples) -> Samples:
        rng = self._rng
        if rng.random() < 0.15:
            samples = low_passed(samples, rng.uniform(2500, 7000))
        samples = samples * np.float32(10 ** rng.uniform(-0.9, 0.15))
        if rng.random() < CLEAN_SHARE:
            return samples
        loudness = 10 ** rng.uniform(-4.5, -2.3)
        return samples + np.float32(loudness) * draw_noise(self._numbers(), len(samples))
