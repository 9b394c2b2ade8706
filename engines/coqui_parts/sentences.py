"""Takes a text apart into what is spoken in one go: sentences, and parts of long ones. Pure; linear in the text."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_ENDS = ".!?…"
_WIDE_ENDS = "\u3002\uff01\uff1f"  # of Chinese and Japanese: no space follows them
_CLOSING = "\"'\u201d\u2019»)]}"
_ABBREVIATIONS = frozenset(
    re.split(
        " ",
        "mr mrs ms dr prof sr jr st mt vs etc no vol fig approx dept est e.g i.e a.m p.m ca bzw usw nr z.b d.h",
    )
)
_LONGEST_ABBREVIATION = 8
_PAUSES = ",;:\u3001\uff0c\uff1b\uff1a"
_BREAKS = re.compile(r"\s+")


class Passage(NamedTuple):
    """What is spoken in one go; a pause follows the last one of a sentence."""

    text: str
    ends_sentence: bool


def split_text(text: str, max_chars: int) -> list[Passage]:
    """The speakable passages of `text` in order, none longer than `max_chars`; empty if nothing can be spoken.

    A passage is speakable if it has a letter or a digit. Control characters are taken as spaces.
    """
    passages = []
    for line in _plain(text).splitlines():
        for sentence in _sentences(line):
            parts = list(_parts(sentence, max_chars))
            passages += [Passage(part, number == len(parts)) for number, part in enumerate(parts, 1)]
    return passages


def _plain(text: str) -> str:
    """`text` without characters that are no text; lines end with `\\n` only."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn") else " "
        for char in text
    )


def _sentences(line: str) -> Iterator[str]:
    start = 0
    for end in _sentence_ends(line):
        yield line[start:end]
        start = end
    yield line[start:]


def _sentence_ends(line: str) -> Iterator[int]:
    place = 0
    while place < len(line):
        if line[place] not in _ENDS + _WIDE_ENDS:
            place += 1
            continue
        first = place
        while place < len(line) and line[place] in _ENDS + _WIDE_ENDS:
            place += 1
        is_wide = line[place - 1] in _WIDE_ENDS
        is_single_dot = place - first == 1 and line[first] == "."
        while place < len(line) and line[place] in _CLOSING:
            place += 1
        if is_wide or (_ends_here(line, place) and not (is_single_dot and _is_abbreviation(line, first))):
            yield place


def _ends_here(line: str, place: int) -> bool:
    return place == len(line) or line[place].isspace()


def _is_abbreviation(line: str, dot: int) -> bool:
    """Whether the word before the dot is a known abbreviation or an initial."""
    words = line[max(0, dot - _LONGEST_ABBREVIATION) : dot].split()
    word = words[-1].lstrip("(\"'") if words and not line[dot - 1].isspace() else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return dot + 1 < len(line) and (is_initial or word.lower() in _ABBREVIATIONS)


def _parts(sentence: str, max_chars: int) -> Iterator[str]:
    """The sentence, cut after the last comma that fits, else between words, else anywhere."""
    rest = _BREAKS.sub(" ", sentence).strip()
    while len(rest) > max_chars:
        cut = _cut(rest[: max_chars + 1], max_chars)
        if is_speakable(part := rest[:cut].strip()):
            yield part
        rest = rest[cut:].strip()
    if is_speakable(rest):
        yield rest


def _cut(head: str, max_chars: int) -> int:
    for char in reversed(range(max_chars // 2, max_chars)):
        if head[char] in _PAUSES:
            return char + 1
    space = head.rfind(" ", 1)
    return space if space > 0 else max_chars


def is_speakable(text: str) -> bool:
    return any(char.isalnum() for char in text)
