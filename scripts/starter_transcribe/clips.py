"""Spoken sentences on the disk: each drawn, spoken and worn once, then mixed into windows as often as wanted.

A cache is two files, the samples of all clips one after another and a list of what they say.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from starter_voice.espeak import say
from starter_voice.sentences import Language, Sentence, draw_sentence

from starter_transcribe import sounds
from starter_transcribe.sounds import Samples

GERMAN_SHARE = 0.15
BRITISH_SHARE = 0.15
PLAIN_SHARE = 0.4
"""Spoken with the speed and pitch that espeak-ng has by itself."""
VOCODER_SHARE = 0.3
MP3_SHARE = 0.05
TELEPHONE_SHARE = 0.05


@dataclass(frozen=True)
class Clip:
    """``num_samples`` of the cache from ``start`` on say ``text``, without silence at the ends."""

    text: str
    language: Language
    start: int
    num_samples: int


@dataclass(frozen=True)
class Clips:
    clips: list[Clip]
    samples: np.ndarray
    """`(all samples,) int16`, on the disk."""

    def sound(self, clip: Clip) -> Samples:
        return self.samples[clip.start : clip.start + clip.num_samples].astype(np.float32) / 32768


def speak(sentence: Sentence, seed: int) -> Samples:
    """``sentence`` in a voice, speed, pitch and wear that depend on ``seed`` alone."""
    rng = np.random.default_rng(seed)
    is_british = rng.random() < BRITISH_SHARE
    voice = "de" if sentence.language == "de" else "en-gb" if is_british else "en-us"
    is_plain = rng.random() < PLAIN_SHARE
    speed, pitch = (175, 50) if is_plain else (int(rng.integers(150, 201)), int(rng.integers(40, 61)))
    spoken = say(sentence.text, voice=voice, words_per_minute=speed, pitch=pitch)
    wear = rng.random()
    if wear < VOCODER_SHARE:
        spoken = sounds.through_griffin_lim(
            spoken,
            rng,
            highest_hz=int(rng.choice((8000, 11025))),
            num_iterations=int(rng.integers(6, 21)),
            power=rng.choice((1.0, 1.2, 1.5)),
            blur=rng.choice((0.0, 0.3, 0.6)),
        )
    samples = sounds.trimmed(sounds.resampled(spoken))
    if VOCODER_SHARE < wear < VOCODER_SHARE + MP3_SHARE:
        samples = sounds.trimmed(sounds.through_mp3(samples))
    if wear > 1 - TELEPHONE_SHARE:
        samples = sounds.through_telephone(samples)
    return samples


def make_clips(folder: Path, *, num_clips: int, seed: int, num_threads: int = 2) -> Clips:
    """The cache in ``folder``, made first when it is not there; some 25 clips a second and core."""
    listing, sound = folder / f"{num_clips}-{seed}.json", folder / f"{num_clips}-{seed}.int16"
    if not listing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        clips, num_samples = [], 0
        with sound.open("wb") as file:
            for sentence, samples in _speak_all(num_clips, seed, num_threads):
                file.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
                clips.append([sentence.text, sentence.language, num_samples, len(samples)])
                num_samples += len(samples)
        listing.write_text(json.dumps(clips))
    return Clips(
        [Clip(*fields) for fields in json.loads(listing.read_text())], np.memmap(sound, dtype="<i2", mode="r")
    )


def _speak_all(num_clips: int, seed: int, num_threads: int) -> Iterator[tuple[Sentence, Samples]]:
    rng = Random(seed)
    sentences = [
        draw_sentence(rng, "de" if rng.random() < GERMAN_SHARE else "en", held_out=False)
        for _ in range(num_clips)
    ]
    seeds = [seed * 10_000_019 + index for index in range(num_clips)]
    with ThreadPoolExecutor(num_threads) as executor:
        yield from zip(sentences, executor.map(speak, sentences, seeds), strict=True)
