"""The closed world of spoken sentences: some 300 English words and 40 German ones, held out by their text.

Lower case, no punctuation, numbers as words: how the transcriber writes them. It knows nothing of sound.
"""

import zlib
from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

Language = Literal["en", "de"]
_HELD_OUT_EVERY = 16


class Sentence(NamedTuple):
    text: str
    language: Language


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DIGITS = _listed("zero one two three four five six seven eight nine")
NUMBERS = (*DIGITS[2:], *_listed("ten eleven twelve thirteen fifteen twenty thirty forty fifty"))
COLOURS = _listed("red green blue yellow black white orange purple")
THINGS = _listed(
    "light lamp door window fan heater radio television camera printer alarm kettle oven music screen phone book "
    "letter picture table chair bottle ticket key box clock flower boat car train"
)
ROOMS = _listed("kitchen bedroom bathroom office garage garden hall attic cellar balcony")
ANIMALS = _listed("dog cat horse bird fish lion tiger rabbit sheep cow fox bear mouse duck")
NAMES = _listed("anna peter maria david susan robert julia thomas emma george alice oscar")
FOODS = _listed("apples bread cheese milk coffee tea sugar rice soup water butter cake")
CAPITALS = {
    "france": "paris",
    "germany": "berlin",
    "italy": "rome",
    "spain": "madrid",
    "portugal": "lisbon",
    "austria": "vienna",
    "greece": "athens",
    "ireland": "dublin",
    "finland": "helsinki",
    "japan": "tokyo",
    "egypt": "cairo",
    "norway": "oslo",
}
CITIES = (*CAPITALS.values(), "london", "boston", "chicago")
QUALITIES = _listed("big small old new fast slow happy quiet warm cold bright clean empty")
VERBS = _listed("sees likes finds follows watches hears")
DAYS = _listed("monday tuesday wednesday thursday friday saturday sunday")
UNITS = _listed("seconds minutes hours days")
SKIES = _listed("sunny cloudy rainy windy snowy")
TIMES = _listed("now today tomorrow again later")
GREETINGS = ("good morning", "good evening", "good night", "hello", "welcome", "thank you")
WORDS = tuple(
    sorted(
        {*COLOURS, *THINGS, *ROOMS, *ANIMALS, *NAMES, *FOODS, *CITIES, *QUALITIES, *VERBS, *DAYS, *NUMBERS}
    )
)

_Draw = Callable[[tuple[str, ...]], str]
_ENGLISH: tuple[Callable[[_Draw], str], ...] = (
    lambda c: f"turn {c(('on', 'off'))} the {c(THINGS)} in the {c(ROOMS)}",
    lambda c: f"set a timer for {c(NUMBERS)} {c(UNITS)}",
    lambda c: f"the {c(QUALITIES)} {c(ANIMALS)} {c(VERBS)} the {c(QUALITIES)} {c(ANIMALS)}",
    lambda c: f"call {c(NAMES)} on {c(DAYS)} at {c(NUMBERS)}",
    lambda c: f"please buy {c(NUMBERS)} {c(FOODS)} and some {c(FOODS)}",
    lambda c: f"what is the weather in {c(CITIES)} on {c(DAYS)}",
    lambda c: f"the weather in {c(CITIES)} is {c(SKIES)} and {c(('warm', 'cold'))}",
    lambda c: f"a {c(COLOURS)} {c(THINGS)} and a {c(COLOURS)} {c(THINGS)}",
    lambda c: f"{c(NAMES)} travels from {c(CITIES)} to {c(CITIES)} on {c(DAYS)}",
    lambda c: f"open the {c(('door', 'window', 'box', 'letter'))} and close the {c(('door', 'window'))}",
    lambda c: f"{c(('play', 'stop', 'repeat'))} the {c(('music', 'radio', 'alarm'))} {c(TIMES)}",
    lambda c: f"{c(NAMES)} {c(VERBS)} the {c(COLOURS)} {c(ANIMALS)} in the {c(ROOMS)}",
    lambda c: f"send a message to {c(NAMES)} and {c(NAMES)}",
    lambda c: f"what is the capital of {c(tuple(CAPITALS))}",
    lambda c: (lambda country: f"the capital of {country} is {CAPITALS[country]}")(c(tuple(CAPITALS))),
    lambda c: f"{c(GREETINGS)} {c(NAMES)} how are you {c(('today', 'now'))}",
    lambda c: f"my name is {c(NAMES)} and i live in {c(CITIES)}",
    lambda c: f"i see {c(NUMBERS)} {c(COLOURS)} {c(('lamps', 'books', 'birds', 'boats', 'cars'))}",
    lambda c: f"where is the {c(COLOURS)} {c(THINGS)}",
    lambda c: f"the {c(THINGS)} is {c(QUALITIES)} and the {c(THINGS)} is {c(QUALITIES)}",
    lambda c: " ".join(c(DIGITS) for _ in range(int(c(tuple("34567"))))),
    lambda c: " ".join(c(WORDS) for _ in range(int(c(tuple("23456"))))),
)
_GERMAN_THINGS = _listed("licht lampe tür fenster radio musik heizung")
_GERMAN_NUMBERS = _listed("null eins zwei drei vier fünf sechs sieben acht neun zehn")
_GERMAN: tuple[Callable[[_Draw], str], ...] = (
    lambda c: " ".join(c(_GERMAN_NUMBERS) for _ in range(int(c(tuple("23456"))))),
    lambda c: f"{c(_GERMAN_THINGS)} {c(('an', 'aus'))} in {c(('küche', 'garten', 'büro', 'keller'))}",
    lambda c: f"bitte {c(_GERMAN_THINGS)} und {c(_GERMAN_THINGS)} {c(('öffnen', 'schließen'))}",
    lambda c: f"das wetter in {c(('berlin', 'wien', 'rom', 'paris'))} ist {c(('warm', 'kalt', 'schön'))}",
    lambda c: f"guten {c(('morgen', 'tag', 'abend'))} {c(('anna', 'peter', 'maria', 'david'))}",
)


def draw_sentence(rng: Random, language: Language, *, held_out: bool) -> Sentence:
    """A sentence of the asked side of the split: which side depends on its text alone."""
    patterns = _ENGLISH if language == "en" else _GERMAN
    while True:
        text = rng.choice(patterns)(rng.choice)
        if is_held_out(text) == held_out:
            return Sentence(text, language)


def is_held_out(text: str) -> bool:
    """Whether no training may ever see or hear this sentence."""
    return zlib.crc32(text.encode()) % _HELD_OUT_EVERY == 0
