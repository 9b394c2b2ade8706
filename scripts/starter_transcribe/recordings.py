"""Held-out recordings of each kind that the transcriber is scored on: sound, what it says, and when.

No sentence in them is ever trained on; silence and noise are drawn like those of training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
from starter_voice.espeak import say
from starter_voice.sentences import Language, draw_sentence

from starter_transcribe import sounds
from starter_transcribe.sounds import SAMPLE_RATE_HZ, Samples


@dataclass(frozen=True)
class Recording:
    audio: Samples | bytes
    text: str
    language: Language
    times_s: tuple[tuple[float, float], ...] = ()
    """Start and end of each sentence, where they are known."""


@dataclass(frozen=True)
class Kind:
    name: str
    num_recordings: int
    draw: Callable[[Random], Recording]


def _plain(language: Language) -> Callable[[Random], Recording]:
    def draw(rng: Random) -> Recording:
        sentence = draw_sentence(rng, language, held_out=True)
        voice = "de" if language == "de" else "en-us"
        return Recording(sounds.resampled(say(sentence.text, voice=voice)), *sentence)

    return draw


def _varied(rng: Random) -> Recording:
    sentence = draw_sentence(rng, "en", held_out=True)
    voice = rng.choice(("en-us", "en-gb"))
    spoken = say(
        sentence.text, voice=voice, words_per_minute=rng.randint(150, 200), pitch=rng.randint(40, 60)
    )
    return Recording(sounds.resampled(spoken), *sentence)


def _griffin_lim(rng: Random) -> Recording:
    sentence = draw_sentence(rng, "en", held_out=True)
    spoken = sounds.through_griffin_lim(
        say(sentence.text),
        np.random.default_rng(rng.getrandbits(32)),
        highest_hz=8000,
        num_iterations=30,
        power=1.5,
        blur=0.3,
    )
    return Recording(sounds.resampled(spoken), *sentence)


def _mp3(rng: Random) -> Recording:
    plain = _plain("en")(rng)
    return Recording(sounds.as_mp3(plain.audio), plain.text, plain.language)


def _telephone(rng: Random) -> Recording:
    plain = _plain("en")(rng)
    return Recording(sounds.through_telephone(plain.audio), plain.text, plain.language)


def _several(fewest: int, most: int) -> Callable[[Random], Recording]:
    def draw(rng: Random) -> Recording:
        parts, texts, times_s, num_samples = [np.zeros(4800, np.float32)], [], [], 4800
        for _ in range(rng.randint(fewest, most)):
            sentence = draw_sentence(rng, "en", held_out=True)
            spoken = sounds.trimmed(sounds.resampled(say(sentence.text)))
            pause = np.zeros(int(rng.uniform(0.4, 1.2) * SAMPLE_RATE_HZ), np.float32)
            end = num_samples + len(spoken)
            times_s.append((num_samples / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ))
            parts += [spoken, pause]
            texts.append(sentence.text)
            num_samples = end + len(pause)
        return Recording(np.concatenate(parts), " ".join(texts), "en", tuple(times_s))

    return draw


def _silence(rng: Random) -> Recording:
    return Recording(np.zeros(int(rng.uniform(0.5, 20) * SAMPLE_RATE_HZ), np.float32), "", "en")


def _noise(rng: Random) -> Recording:
    numbers = np.random.default_rng(rng.getrandbits(32))
    noise = sounds.draw_noise(numbers, int(rng.uniform(1, 20) * SAMPLE_RATE_HZ))
    return Recording(noise * np.float32(10 ** rng.uniform(-3.5, -1)), "", "en")


ENGLISH = Kind("English", 150, _plain("en"))
GERMAN = Kind("German", 80, _plain("de"))
VARIED = Kind("English, other speeds, pitches and British", 80, _varied)
GRIFFIN_LIM = Kind("English through Griffin-Lim", 100, _griffin_lim)
MP3 = Kind("English as mp3 at 64 kbit/s", 60, _mp3)
TELEPHONE = Kind("English through a telephone's band", 60, _telephone)
SEVERAL = Kind("two or three sentences with pauses", 40, _several(2, 3))
LONG = Kind("40 to 60 seconds of sentences", 6, _several(17, 20))
SILENCE = Kind("silence", 20, _silence)
NOISE = Kind("noise", 60, _noise)
