"""What a family of tools is: one purpose under many names, and how a result becomes a sentence."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from starter_chat import words

Value: TypeAlias = str | int


@dataclass(frozen=True)
class Parameter:
    names: tuple[str, ...]
    type: str
    draw: Callable[[Random], Value]


@dataclass(frozen=True)
class Family:
    """One purpose under many names. ``{0}`` and ``{1}`` in the phrases stand for the arguments in order."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    phrases: tuple[str, ...]
    conclude: Callable[[Random, list[Value]], tuple[str, str]]


def _dress(rng: Random, key: str, value: Value) -> str:
    """A tool's result as tools write it: bare, or as JSON under a key."""
    return str(value) if rng.random() < 0.35 else json.dumps({key: value})


def tell_number(key: str) -> Callable[[Random, list[Value]], tuple[str, str]]:
    def conclude(rng: Random, arguments: list[Value]) -> tuple[str, str]:
        number = words.draw_number(rng)
        return _dress(rng, key, number), f"The {key} is {number}."

    return conclude


def tell_text(key: str) -> Callable[[Random, list[Value]], tuple[str, str]]:
    def conclude(rng: Random, arguments: list[Value]) -> tuple[str, str]:
        text = " ".join(words.draw_words(rng, 1, 3))
        return _dress(rng, key, text), f"The {key} is {text}."

    return conclude


def confirm(rng: Random, arguments: list[Value]) -> tuple[str, str]:
    status = rng.choice(("ok", "done", "sent", "success", "true"))
    return rng.choice((status, json.dumps({"status": status}))), "Done."


def tell_weather(rng: Random, arguments: list[Value]) -> tuple[str, str]:
    degrees, sky, city = rng.randint(1, 39), rng.choice(words.SKIES), arguments[0]
    sentence = f"It is {degrees} degrees and {sky} in {city}."
    heat = rng.choice(("temperature", "temperature", "degrees", "temp"))
    return rng.choice(
        (
            (json.dumps({heat: degrees, "condition": sky}), sentence),
            (json.dumps({"city": city, heat: degrees, "condition": sky}), sentence),
            (f"{sky}, {degrees} degrees", sentence),
            (f"{degrees} degrees and {sky}", sentence),
            (json.dumps({heat: degrees}), f"It is {degrees} degrees in {city}."),
            (json.dumps({"city": city, heat: degrees}), f"It is {degrees} degrees in {city}."),
            (str(degrees), f"It is {degrees} degrees in {city}."),
            (f"{degrees} degrees", f"It is {degrees} degrees in {city}."),
            (sky, f"It is {sky} in {city}."),
            (json.dumps({"condition": sky}), f"It is {sky} in {city}."),
        )
    )


def tell_time(rng: Random, arguments: list[Value]) -> tuple[str, str]:
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    return _dress(rng, "time", clock), f"It is {clock} in {arguments[0]}."
