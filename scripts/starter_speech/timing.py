"""From espeak-ng's marks to the time at which each character of a text begins.

A group is a stretch of text that espeak-ng marks as one word, with the phonemes spoken for it.
"""

from dataclasses import dataclass

from starter_speech.alignment import Aligner, Pair
from starter_speech.voice import Mark, Spoken

PAUSE = "_"
SILENT = ""


@dataclass(frozen=True)
class Group:
    spelling: str
    gap: str
    """What follows the spelling: marks and spaces."""
    phonemes: tuple[Mark, ...]
    pauses: tuple[Mark, ...]
    """The silence in the gap."""

    @property
    def pair(self) -> Pair:
        return self.spelling, tuple(mark.name for mark in self.phonemes)


@dataclass(frozen=True)
class Timed:
    """For each character of a text where it begins (samples) and what it sounds like (names of phonemes)."""

    starts: list[int]
    sounds: list[str]


def split_groups(text: str, spoken: Spoken) -> list[Group]:
    """Empty where the marks do not cover the text, which can happen at odd punctuation."""
    words: list[tuple[int, list[Mark]]] = []
    for mark in spoken.marks:
        if mark.kind == "word":
            words.append((_next_letter(text, mark.text_start), []))
        elif words:
            words[-1][1].append(mark)
    starts = [start for start, _ in words]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= len(text):
        return []
    ends = [*starts[1:], len(text)]
    return [_group(text[start:end], marks) for (start, marks), end in zip(words, ends, strict=True)]


def time_characters(groups: list[Group], aligner: Aligner, num_samples: int) -> Timed | None:
    """None where some word cannot be aligned. Later characters never begin before earlier ones."""
    starts: list[int] = []
    sounds: list[str] = []
    for place, group in enumerate(groups):
        taken = aligner.align(group.pair)
        if taken is None or not group.phonemes:
            return None
        end = (
            groups[place + 1].phonemes[0].sample
            if place + 1 < len(groups) and groups[place + 1].phonemes
            else num_samples
        )
        gap_start = group.pauses[0].sample if group.pauses else end
        starts += [*_letter_starts(group, taken, gap_start), *_gap_starts(group.gap, gap_start, end)]
        sounds += [*_letter_sounds(group, taken), *(PAUSE for _ in group.gap)]
    return Timed(starts, sounds)


def _next_letter(text: str, place: int) -> int:
    while place < len(text) and not text[place].isalpha():
        place += 1
    return place


def _group(text: str, marks: list[Mark]) -> Group:
    spelling = text.rstrip(" .,!?")
    num_phonemes = len(marks)
    while num_phonemes and marks[num_phonemes - 1].name.startswith(PAUSE):
        num_phonemes -= 1
    return Group(spelling, text[len(spelling) :], tuple(marks[:num_phonemes]), tuple(marks[num_phonemes:]))


def _letter_starts(group: Group, taken: list[int], end: int) -> list[int]:
    starts, place = [], 0
    for count in taken:
        starts.append(group.phonemes[place].sample if place < len(group.phonemes) else end)
        place += count
    return starts


def _letter_sounds(group: Group, taken: list[int]) -> list[str]:
    names = iter(group.pair[1])
    return ["+".join(next(names) for _ in range(count)) for count in taken]


def _gap_starts(gap: str, start: int, end: int) -> list[int]:
    """The first mark holds the silence."""
    return [start, *(end for _ in gap[1:])] if gap else []
