"""From windows of sound to what the model is trained on: log-mel features, token ids, labels, letters."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from starter_voice.sentences import Language
from tokenizers import Tokenizer
from torch import Tensor

from starter_transcribe.tokenizer import LANGUAGES, LETTERS, read_ids
from starter_transcribe.windows import Mixer, Window

IGNORED = -100
WHOLE_FRAMES = 3000
LATEST_FIRST_TIME_S = 1.0
"""faster-whisper lets no transcript begin later (its option max_initial_timestamp)."""
PREVIOUS_SHARE = 0.25


@dataclass(frozen=True)
class Batch:
    features: Tensor
    """`(windows, 80, frames)`; zero where a window is shorter than the longest, as faster-whisper pads."""
    ids: Tensor
    labels: Tensor
    """`(windows, tokens)`: of the token after each of ``ids``, or IGNORED."""
    letters: list[list[int]]
    num_spoken: int


class BatchMaker:
    def __init__(self, tokenizer: Tokenizer, mixer: Mixer, rng: Random) -> None:
        self._tokenizer, self._mixer, self._rng = tokenizer, mixer, rng
        self._ids = read_ids(tokenizer)
        self._extract = FeatureExtractor()

    def make(
        self, windows: list[Window], *, with_previous: bool, num_frames: int | None, masks: bool
    ) -> Batch:
        """``num_frames`` None: as many as the longest window and a random share of padding need."""
        features = [self._features(window, masks=masks) for window in windows]
        if num_frames is None:
            longest = max(feature.shape[1] for feature in features)
            num_frames = min(WHOLE_FRAMES, longest + self._rng.choice((4, 20, 60, 120)))
            num_frames += num_frames % 2
        padded = np.zeros((len(windows), 80, num_frames), np.float32)
        for row, feature in zip(padded, features, strict=True):
            row[:, : feature.shape[1]] = feature
        pairs = [self._target(window, with_previous=with_previous) for window in windows]
        longest = max(len(ids) for ids, _ in pairs)
        ids = torch.tensor([ids + [self._ids.end] * (longest - len(ids)) for ids, _ in pairs])
        labels = torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in pairs])
        return Batch(
            torch.from_numpy(padded),
            ids[:, :-1],
            labels[:, 1:],
            [spell(window) for window in windows],
            sum(len(window.spoken) for window in windows),
        )

    def _features(self, window: Window, *, masks: bool) -> np.ndarray:
        """faster-whisper drops the frame that its own padding adds."""
        features = self._extract(window.samples)[:, :-1][:, :WHOLE_FRAMES]
        if not masks:
            return features
        num_bands, num_frames = features.shape
        for _ in range(2):
            width = self._rng.randint(0, 10)
            start = self._rng.randint(0, num_bands - width)
            features[start : start + width] = 0
        for _ in range(num_frames // 100 + 1):
            width = self._rng.randint(0, 12)
            start = self._rng.randint(0, max(0, num_frames - width))
            features[:, start : start + width] = 0
        return features

    def _target(self, window: Window, *, with_previous: bool) -> tuple[list[int], list[int]]:
        """Ids and, at the same places, labels: IGNORED on what faster-whisper gives as a prompt."""
        ids, previous = self._ids, list[int]()
        language = window.language or self._rng.choice(LANGUAGES)
        if with_previous and self._rng.random() < PREVIOUS_SHARE:
            previous = [ids.previous, *self._previous(language)]
        body = self._body(window)
        heard = ids.languages[language] if window.language else ids.no_speech
        return (
            [*previous, ids.start, ids.languages[language], ids.transcribe, *body],
            [
                *[IGNORED] * len(previous),
                *(IGNORED, heard, IGNORED),
                *(IGNORED if token == ids.no_timestamps else token for token in body),
            ],
        )

    def _body(self, window: Window) -> list[int]:
        ids = self._ids
        is_timed = window.cut_off_s is not None or self._rng.random() < 0.5
        if not is_timed:
            text = "".join(f" {spoken.text}" for spoken in window.spoken)
            return [ids.no_timestamps, *self._tokenizer.encode(text).ids, ids.end]
        if not window.spoken:
            return [ids.first_time, ids.end]
        body: list[int] = []
        for spoken in window.spoken:
            start_s = spoken.start_s if body else min(spoken.start_s, LATEST_FIRST_TIME_S)
            body += [
                ids.time(start_s),
                *self._tokenizer.encode(f" {spoken.text}").ids,
                ids.time(spoken.end_s),
            ]
        if window.cut_off_s is not None:
            body.append(ids.time(window.cut_off_s))
        return [*body, ids.end]

    def _previous(self, language: Language) -> list[int]:
        texts = self._mixer.draw_texts(language, self._rng.randint(1, 3))
        is_timed = self._rng.random() < 0.5
        previous: list[int] = []
        now_s = 0.0
        for text in texts:
            words = self._tokenizer.encode(f" {text}").ids
            end_s = now_s + self._rng.uniform(1, 3)
            previous += [self._ids.time(now_s), *words, self._ids.time(end_s)] if is_timed else words
            now_s = end_s + self._rng.uniform(0, 1)
        return previous


def spell(window: Window) -> list[int]:
    """The letters of all that is said, for the encoder's own loss; 0 is its blank."""
    return [LETTERS.index(letter) + 1 for letter in " ".join(spoken.text for spoken in window.spoken)]
