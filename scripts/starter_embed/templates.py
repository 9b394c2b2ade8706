"""Everyday English by templates: pairs of one meaning, and questions with passages that answer them.

Words and phrasings are in ``words.txt``, ``meanings.txt`` and ``answers.txt``. It knows nothing of models.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

FOLDER = Path(__file__).parent
WIDE_SHARE = 0.35
"""How often a slot takes a word of the whole vocabulary instead of one that makes sense there."""
_FIXED_SLOTS = {"name", "number", "day", "time", "month", "good", "bad", "feeling"}
_SLOT = re.compile(r"\{(([a-z_]+)\d?)\}")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_TWO_ARTICLES = re.compile(r"\b(?:an?|the|my|your|our) (an?|the|my|our)\b ")
_WRONG_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")


class Pair(NamedTuple):
    """Two texts of one meaning, or a question and its answer."""

    first: str
    second: str


@dataclass(frozen=True)
class Block:
    """Phrasings that share their slots: what may come first in a pair, and what may come second."""

    firsts: tuple[str, ...]
    seconds: tuple[str, ...]


class Templates:
    """Draws pairs; ``wide_words`` are put into slots too, so that many more words are met than the lists hold."""

    def __init__(self, wide_words: list[str]) -> None:
        self._wide_words = wide_words
        self._lists = _read_lists()
        self._meanings = [Block(lines, lines) for lines in _read_blocks("meanings.txt")]
        self._answers = [_split_answers(lines) for lines in _read_blocks("answers.txt")]

    def draw_paraphrase(self, rng: Random) -> Pair:
        block = rng.choice(self._meanings)
        first, second = rng.sample(block.firsts, 2)
        return self._fill(rng, first, second)

    def draw_answer(self, rng: Random) -> Pair:
        block = rng.choice(self._answers)
        return self._fill(rng, rng.choice(block.firsts), rng.choice(block.seconds))

    def _fill(self, rng: Random, first: str, second: str) -> Pair:
        values: dict[str, tuple[str, ...]] = {}
        texts = [self._fill_one(rng, text, values) for text in (first, second)]
        return Pair(*texts)

    def _fill_one(self, rng: Random, phrasing: str, values: dict[str, tuple[str, ...]]) -> str:
        def fill(match: re.Match[str]) -> str:
            slot, kind = match.groups()
            if slot not in values:
                values[slot] = self._draw_value(rng, kind)
            return rng.choice(values[slot])

        text = _SLOT.sub(fill, _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), phrasing))
        return _tidy(text, is_lower=rng.random() < 0.15)

    def _draw_value(self, rng: Random, kind: str) -> tuple[str, ...]:
        """The words of one meaning that a slot may take."""
        if kind not in _FIXED_SLOTS and self._wide_words and rng.random() < WIDE_SHARE:
            return (rng.choice(self._wide_words),)
        return rng.choice(self._lists[kind])


def draw_words(rng: Random, wide_words: list[str]) -> str:
    """A few unrelated words in a simple frame: what single words mean, and how meanings add up."""
    first, second, third = rng.sample(wide_words, 3)
    frames = (
        f"{first}", f"{first} {second}", f"the {first} of the {second}", f"{first} and {second}",
        f"{first} {second} {third}", f"{first} or {second}", f"a {first} with a {second}",
        f"{first}, {second} and {third}", f"how to {first} a {second}", f"{first} in the {second}",
        f"they {first} the {second} for {third}", f"the {first} is {second}", f"why {first} is not {second}",
    )  # fmt: skip
    return _tidy(rng.choice(frames), is_lower=False)


def _tidy(text: str, *, is_lower: bool) -> str:
    text = _TWO_ARTICLES.sub(r"\1 ", text)
    text = " ".join(_WRONG_ARTICLE.sub(r"\1n ", text).split())
    return text.lower() if is_lower else text[:1].upper() + text[1:]


def _read_lists() -> dict[str, tuple[tuple[str, ...], ...]]:
    lists = {}
    for line in _read_lines("words.txt"):
        kind, words = line.split(": ", 1)
        lists[kind] = tuple(tuple(word.split("/")) for word in words.split(", "))
    return lists


def _read_blocks(file: str) -> list[tuple[str, ...]]:
    text = "\n".join(line.strip() for line in _read_lines(file))
    return [tuple(block.split("\n")) for block in re.split(r"\n\n+", text.strip())]


def _read_lines(file: str) -> list[str]:
    return [line for line in (FOLDER / file).read_text().splitlines() if not line.startswith("#")]


def _split_answers(lines: tuple[str, ...]) -> Block:
    return Block(
        firsts=tuple(line[2:] for line in lines if line.startswith("? ")),
        seconds=tuple(line[2:] for line in lines if line.startswith("= ")),
    )
