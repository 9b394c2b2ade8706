"""Which letter makes which phoneme: learnt from pairs of spellings and phonemes by expectation-maximisation.

Each phoneme belongs to one letter, in order; a letter makes none, one or several. It knows nothing of time.
"""

import math
from collections import Counter
from collections.abc import Iterable

Pair = tuple[str, tuple[str, ...]]
"""A spelling (one word, or words that are spoken as one) and its phonemes."""

MAX_PHONEMES_PER_LETTER = 4
_COUNT_PRIOR = (0.3, 0.55, 0.12, 0.025, 0.005)
_ROUNDS = 6
_NOTHING = -1e9


class Aligner:
    def __init__(self, pairs: Iterable[Pair]) -> None:
        """Learns from ``pairs``, each as often as it comes; takes seconds for thousands."""
        counted = Counter(pairs)
        self._sounds = _by_nearness(counted)
        self._counts = {letter: _COUNT_PRIOR for letter in self._sounds}
        for _ in range(_ROUNDS):
            self._learn(counted)

    def align(self, pair: Pair) -> list[int] | None:
        """How many phonemes each letter makes, or None if there are too many phonemes."""
        spelling, phonemes = pair
        num_phonemes = len(phonemes)
        best = [0.0] + [_NOTHING] * num_phonemes
        choices: list[list[int]] = []
        for letter in spelling:
            scores = [self._log_sound(letter, phoneme) for phoneme in phonemes]
            best, chosen = self._extend(best, scores, self._counts.get(letter, _COUNT_PRIOR))
            choices.append(chosen)
        if best[num_phonemes] <= _NOTHING / 2:
            return None
        taken, place = [], num_phonemes
        for chosen in reversed(choices):
            taken.append(chosen[place])
            place -= chosen[place]
        return taken[::-1]

    @staticmethod
    def _extend(
        best: list[float], scores: list[float], counts: tuple[float, ...]
    ) -> tuple[list[float], list[int]]:
        """One letter more: for each number of phonemes so far the best score, and the letter's own share."""
        extended, chosen = [_NOTHING] * len(best), [0] * len(best)
        for place, before in enumerate(best):
            if before <= _NOTHING / 2:
                continue
            score = before
            for count in range(min(MAX_PHONEMES_PER_LETTER, len(scores) - place) + 1):
                if count:
                    score += scores[place + count - 1]
                total = score + math.log(counts[count])
                if total > extended[place + count]:
                    extended[place + count], chosen[place + count] = total, count
        return extended, chosen

    def _log_sound(self, letter: str, phoneme: str) -> float:
        return math.log(self._sounds.get(letter, {}).get(phoneme, 1e-5))

    def _learn(self, pairs: Counter[Pair]) -> None:
        sounds: dict[str, Counter[str]] = {letter: Counter() for letter in self._sounds}
        counts = {letter: [50 * share for share in _COUNT_PRIOR] for letter in self._sounds}
        for (spelling, phonemes), weight in pairs.items():
            taken = self.align((spelling, phonemes))
            place = 0
            for letter, count in zip(spelling, taken or (), strict=taken is not None):
                counts[letter][count] += weight
                for phoneme in phonemes[place : place + count]:
                    sounds[letter][phoneme] += weight
                place += count
        self._sounds = {letter: _normalised(heard) for letter, heard in sounds.items()}
        self._counts = {letter: tuple(n / sum(seen) for n in seen) for letter, seen in counts.items()}


def _by_nearness(pairs: Counter[Pair]) -> dict[str, dict[str, float]]:
    """The first guess: letters make the phonemes that lie at the same share of the word."""
    sounds: dict[str, Counter[str]] = {}
    for (spelling, phonemes), weight in pairs.items():
        for place, letter in enumerate(spelling):
            for position, phoneme in enumerate(phonemes):
                distance = (place + 0.5) / len(spelling) - (position + 0.5) / len(phonemes)
                nearness = weight * math.exp(-30 * distance * distance)
                sounds.setdefault(letter, Counter())[phoneme] += nearness
    return {letter: _normalised(heard) for letter, heard in sounds.items()}


def _normalised(heard: Counter[str]) -> dict[str, float]:
    total = sum(heard.values()) or 1.0
    return {phoneme: max(count / total, 1e-5) for phoneme, count in heard.items()}
