"""What a skill is: a kind of question, each question with its only right answer."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

KNOWN = "I know this."


@dataclass(frozen=True)
class Turn:
    """One question, its answer and the short thought that leads to it."""

    user: str
    answer: str
    thought: str = KNOWN


@dataclass(frozen=True)
class Skill:
    """One kind of question.

    ``is_open``: there are so many questions that some can be kept out of training for the evaluation.
    ``is_scored``: a question has one right answer, so the evaluation can ask it.
    """

    kind: str
    draw: Callable[[Random], Turn]
    weight: float
    is_open: bool = True
    is_scored: bool = True


def vary(rng: Random, text: str) -> str:
    """The same request as people type it: with or without a stop, a capital letter, a "please"."""
    roll = rng.random()
    if roll < 0.08 and text[-1] in ".?":
        return text[:-1]
    if roll < 0.14:
        return text[0].lower() + text[1:]
    if roll < 0.20 and text[-1] == ".":
        return f"Please {text[0].lower()}{text[1:]}"
    return text
