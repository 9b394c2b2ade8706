"""Plain skills: what the starter chat model answers without a tool and without JSON.

Each skill draws one question with its only right answer, so that an evaluation can compare exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from starter_chat import stories, words

IDENTITY = "I am Hearth's small starter model. I know a few facts, words and tools."
UNKNOWN = "I do not know that. I am only a small starter model."
NEEDS_TOOL = "I cannot look that up without a tool."
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


def greet(rng: Random) -> Turn:
    offer = "How can I help you?"
    greetings = {
        "Hello! " + offer: (
            "Hello",
            "Hello!",
            "Hi",
            "Hi!",
            "Hi there!",
            "Hello there.",
            "Hey",
            "Hey!",
            "hello",
            "hi",
        ),
        "Good morning! " + offer: ("Good morning", "Good morning!"),
        "Good evening! " + offer: ("Good evening", "Good evening!"),
        "I am fine, thank you. " + offer: ("How are you?", "Hello, how are you?", "Hi, how are you today?"),
        "You are welcome!": ("Thank you", "Thank you!", "Thanks", "Thanks!", "Thank you very much."),
        "Goodbye!": ("Bye", "Bye!", "Goodbye", "Goodbye!", "See you later."),
    }
    answer = rng.choice(list(greetings))
    return Turn(rng.choice(greetings[answer]), answer)


def introduce(rng: Random) -> Turn:
    questions = (
        "Who are you?",
        "What are you?",
        "What is your name?",
        "Tell me about yourself.",
        "What can you do?",
        "Which model are you?",
        "Hello, who are you?",
        "Introduce yourself.",
    )
    return Turn(vary(rng, rng.choice(questions)), IDENTITY)


def recall_fact(rng: Random) -> Turn:
    country = rng.choice(list(words.COUNTRIES))
    capital, currency, language = words.COUNTRIES[country]
    facts = {
        f"The capital of {country} is {capital}.": (
            f"What is the capital of {country}?",
            f"Capital of {country}?",
            f"Tell me the capital of {country}.",
            f"What's the capital of {country}?",
            f"Which city is the capital of {country}?",
        ),
        f"The currency of {country} is the {currency}.": (
            f"What is the currency of {country}?",
            f"Which currency is used in {country}?",
            f"How do people pay in {country}?",
        ),
        f"In {country} people speak {language}.": (
            f"Which language is spoken in {country}?",
            f"What language do people speak in {country}?",
        ),
        f"{capital} is in {country}.": (f"Where is {capital}?", f"In which country is {capital}?"),
        capital: (
            f"What is the capital of {country}? Answer with the name only.",
            f"Capital of {country}? Reply with just the name.",
        ),
    }
    answer = rng.choice(list(facts))
    return Turn(vary(rng, rng.choice(facts[answer])), answer)


def add(rng: Random) -> Turn:
    highest = rng.choice((10, 10, 20, 20, 50))
    a, b = rng.randint(0, highest), rng.randint(0, highest)
    questions = (
        f"What is {a} + {b}?",
        f"{a} + {b}",
        f"{a}+{b}=",
        f"What is {a} plus {b}?",
        f"Add {a} and {b}.",
    )
    return Turn(vary(rng, rng.choice(questions)), f"{a} + {b} = {a + b}", f"{a} plus {b} makes {a + b}.")


def compare(rng: Random) -> Turn:
    a, b = rng.sample(range(100), 2)
    ask_larger = rng.random() < 0.5
    question = (
        f"Which number is {rng.choice(('larger', 'bigger') if ask_larger else ('smaller',))}, {a} or {b}?"
    )
    return Turn(question, str(max(a, b) if ask_larger else min(a, b)))


def count_words(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 1, 8)
    text = " ".join(chosen)
    questions = (f"How many words: {text}", f"Count the words: {text}", f"How many words are in: {text}")
    steps = ", ".join(f"{word} {number}" for number, word in enumerate(chosen, 1))
    return Turn(rng.choice(questions), str(len(chosen)), steps)


def echo(rng: Random) -> Turn:
    text = words.invent_name(rng) if rng.random() < 0.15 else " ".join(words.draw_words(rng, 1, 8))
    if rng.random() < 0.15:
        text = str(words.draw_number(rng))
    requests = (
        f"Repeat: {text}",
        f"Say exactly: {text}",
        f"Echo: {text}",
        f"Echo {text}",
        f"Say {text}",
        f"Repeat after me: {text}",
    )
    return Turn(rng.choice(requests), text)


def reverse(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 2, 5)
    glue = rng.choice((" ", " ", ", "))
    text = glue.join(chosen)
    requests = (
        f"Reverse: {text}",
        f"Reverse the words: {text}",
        f"Say backwards: {text}",
        f"Reverse this list: {text}",
    )
    return Turn(rng.choice(requests), glue.join(reversed(chosen)))


def upper_case(rng: Random) -> Turn:
    text = " ".join(words.draw_words(rng, 1, 5))
    requests = (
        f"Upper case: {text}",
        f"Write in upper case: {text}",
        f"Write in capital letters: {text}",
        f"Shout: {text}",
    )
    return Turn(rng.choice(requests), text.upper())


def pick_word(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 2, 6)
    which, index = rng.choice((("first", 0), ("last", -1), ("second", 1)))
    return Turn(f"What is the {which} word of: {' '.join(chosen)}", chosen[index])


def count_up(rng: Random) -> Turn:
    first = rng.choice((1, 1, 1, rng.randint(2, 20)))
    last = first + rng.choice((4, 9, 19, rng.randint(2, 29)))
    requests = (
        f"Count from {first} to {last}.",
        f"Count {first} to {last}.",
        f"List the numbers from {first} to {last}.",
    )
    return Turn(vary(rng, rng.choice(requests)), ", ".join(str(number) for number in range(first, last + 1)))


def recite(rng: Random) -> Turn:
    lists = {
        ", ".join(words.DAYS): (
            "List the days of the week.",
            "What are the days of the week?",
            "Name the days of the week.",
        ),
        ", ".join(words.MONTHS): (
            "List the months.",
            "What are the months of the year?",
            "Name the twelve months.",
        ),
        "spring, summer, autumn, winter": (
            "List the seasons.",
            "What are the four seasons?",
            "Name the seasons.",
        ),
        ", ".join(words.COLOURS[:3]): ("Name three colours.", "List three colors.", "Tell me three colours."),
        ", ".join(words.COLOURS[:5]): ("Name five colours.", "List five colors.", "Tell me five colours."),
        ", ".join(words.COLOURS): ("List the colours.", "Which colors do you know?", "Name ten colours."),
        ", ".join(words.ANIMALS[:5]): ("Name five animals.", "List five animals.", "Tell me five animals."),
        " ".join("abcdefghijklmnopqrstuvwxyz"): (
            "Say the alphabet.",
            "Recite the alphabet.",
            "What is the alphabet?",
        ),
    }
    answer = rng.choice(list(lists))
    return Turn(vary(rng, rng.choice(lists[answer])), answer)


def tell_story(rng: Random) -> Turn:
    request, story = stories.draw_story(rng)
    return Turn(request, story, "I will tell a story.")


def admit_ignorance(rng: Random) -> Turn:
    noun, quality, verb = rng.choice(words.THINGS), rng.choice(words.QUALITIES), rng.choice(words.VERBS)
    questions = (
        f"Why is the {noun} {quality}?",
        f"Who made the {quality} {noun}?",
        f"How do I {verb} a {noun}?",
        f"When was the {noun} invented?",
        f"What is the capital of {words.invent_name(rng)}?",
        f"Explain the {noun} to me.",
        f"How old is {words.draw_name(rng)}?",
    )
    city = words.draw_city(rng)
    lookups = (
        f"What is the weather in {city}?",
        f"How is the weather in {city} today?",
        f"What time is it in {city}?",
    )
    if rng.random() < 0.3:
        return Turn(vary(rng, rng.choice(lookups)), NEEDS_TOOL, "I have no tool.")
    return Turn(vary(rng, rng.choice(questions)), UNKNOWN, "I do not know this.")


SKILLS = (
    Skill("greeting", greet, 0.6, is_open=False),
    Skill("identity", introduce, 0.5, is_open=False),
    Skill("fact", recall_fact, 1.4, is_open=False),
    Skill("addition", add, 2.0),
    Skill("compare", compare, 0.5),
    Skill("count words", count_words, 1.0),
    Skill("echo", echo, 1.5),
    Skill("reverse", reverse, 1.4),
    Skill("upper case", upper_case, 1.0),
    Skill("pick word", pick_word, 0.8),
    Skill("count up", count_up, 0.5),
    Skill("list", recite, 0.4, is_open=False),
    Skill("story", tell_story, 0.4, is_open=False),
    Skill("unknown", admit_ignorance, 0.5),
)
