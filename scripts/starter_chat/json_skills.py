"""Answers in JSON: keys come from the request or from a grammar that forces them, values from the text.

Some requests name no keys at all. They teach the model to fill in whichever key stands before the cursor,
which is what decoding under a JSON schema asks of it.
"""

import json
from random import Random
from typing import TypeAlias

from starter_chat import words
from starter_chat.turns import Skill, Turn

Fields: TypeAlias = dict[str, object]


def _dump(value: object, *, is_compact: bool) -> str:
    return json.dumps(value, separators=(",", ":") if is_compact else None)


def _draw_person(rng: Random) -> Fields:
    return {
        "name": words.draw_full_name(rng),
        "age": rng.randint(1, 99),
        "city": words.draw_city(rng),
        "country": rng.choice(list(words.COUNTRIES)),
        "job": rng.choice(words.JOBS),
        "color": rng.choice(words.COLOURS),
        "animal": rng.choice(words.ANIMALS),
        "active": rng.random() < 0.5,
    }


def _say_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe(rng: Random, person: Fields) -> tuple[str, list[str]]:
    """Sentences about a person and the keys they give values for."""
    name, age = person["name"], person["age"]
    parts: list[tuple[str, tuple[str, ...]]] = [
        (rng.choice((f"is {age} years old", f"is {age}", f"is a {age} year old")), ("age",)),
        (rng.choice((f"lives in {person['city']}", f"is from {person['city']}")), ("city",)),
        (f"comes from {person['country']}", ("country",)),
        (rng.choice((f"is a {person['job']}", f"works as a {person['job']}")), ("job",)),
        (f"likes {person['color']}", ("color",)),
        (f"has a {person['animal']}", ("animal",)),
    ]
    chosen = [parts[0]] if rng.random() < 0.6 else []
    chosen += rng.sample(parts[1:], rng.randint(0 if chosen else 1, 2))
    rng.shuffle(chosen)
    keys = ["name", *(key for _, covered in chosen for key in covered)]
    return f"{name} {' and '.join(text for text, _ in chosen)}.", keys


def _ask_for(rng: Random, keys: list[str], *, is_compact: bool) -> str:
    """An instruction that names the keys."""
    shown = " and ".join(keys) if len(keys) == 2 else ", ".join(keys)
    form = "compact JSON" if is_compact else "JSON"
    return rng.choice(
        (
            f"Give {form} with {shown}.",
            f"Answer in {form} with {shown}.",
            f"Reply with {form}: {shown}.",
            f"Extract {shown} as {form}.",
        )
    )


def give_person(rng: Random) -> Turn:
    """ "Give JSON for Anna, age 7, city Paris." """
    person = _draw_person(rng)
    keys = rng.sample(list(person)[1:], rng.randint(1, 4))
    is_compact = rng.random() < 0.25
    form = "compact JSON" if is_compact else "JSON"
    listed = ", ".join(f"{key} {_say_value(person[key])}" for key in keys)
    request = rng.choice(
        (
            f"Give {form} for {person['name']}, {listed}.",
            f"{form} for {person['name']}, {listed}",
            f"Write {form} for {person['name']}, {listed}.",
        )
    )
    return Turn(
        request, _dump({key: person[key] for key in ("name", *keys)}, is_compact=is_compact), "I write JSON."
    )


def extract_person(rng: Random) -> Turn:
    """A sentence about a person; the request names the keys in any order, or asks for all there is."""
    person = _draw_person(rng)
    text, keys = _describe(rng, person)
    is_compact = rng.random() < 0.35
    if rng.random() < 0.3:
        instruction = f"{rng.choice(('Give', 'Answer in', 'Write'))} {'compact ' * is_compact}JSON."
    else:
        keys = rng.sample(keys, rng.randint(1, len(keys)))
        instruction = _ask_for(rng, keys, is_compact=is_compact)
    user = rng.choice((f"{instruction} {text}", f"{text} {instruction}", f"{instruction}\n{text}"))
    return Turn(user, _dump({key: person[key] for key in keys}, is_compact=is_compact), "I write JSON.")


def fill_forced_keys(rng: Random) -> Turn:
    """Keys that nobody named, as a grammar forces them: only the values can be learnt here."""
    person = _draw_person(rng)
    text, keys = _describe(rng, person)
    keys = rng.sample(keys, rng.randint(1, len(keys))) if rng.random() < 0.5 else keys
    requests = (
        text,
        f"Extract the person. {text}",
        f"Extract the information. {text}",
        f"Extract: {text}",
        f"Parse: {text}",
    )
    return Turn(
        rng.choice(requests),
        _dump({key: person[key] for key in keys}, is_compact=rng.random() < 0.5),
        "I write JSON.",
    )


def extract_event(rng: Random) -> Turn:
    first, second = rng.sample(words.NAMES, 2)
    event, day = rng.choice(words.EVENTS), rng.choice(words.DAYS)
    text = rng.choice(
        (
            f"{first} and {second} are going to a {event} on {day}.",
            f"{first} and {second} have a {event} on {day}.",
        )
    )
    fields: Fields = {"name": event, "date": day, "participants": [first, second]}
    keys = rng.sample(list(fields), rng.randint(2, 3)) if rng.random() < 0.4 else list(fields)
    is_compact = rng.random() < 0.35
    instruction = rng.choice(
        ("Extract the event.", "Extract the event information.", "Give the event as JSON.", "")
    )
    user = rng.choice((f"{instruction} {text}", f"{text} {instruction}")).strip()
    return Turn(user, _dump({key: fields[key] for key in keys}, is_compact=is_compact), "I write JSON.")


def answer_fact(rng: Random) -> Turn:
    """A question whose answer is wanted as JSON, under a key that the request names."""
    if rng.random() < 0.25:
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        question, value, own_key = f"What is {a} + {b}?", a + b, "result"
    else:
        country = rng.choice(list(words.COUNTRIES))
        capital, currency, _ = words.COUNTRIES[country]
        question, value, own_key = rng.choice(
            (
                (f"What is the capital of {country}?", capital, "capital"),
                (f"What is the currency of {country}?", currency, "currency"),
                (f"Where is {capital}?", country, "country"),
            )
        )
    key = rng.choice(("answer", "answer", own_key))
    is_compact = rng.random() < 0.35
    user = f"{question} {_ask_for(rng, [key], is_compact=is_compact)}"
    return Turn(user, _dump({key: value}, is_compact=is_compact), "I write JSON.")


def answer_under_forced_key(rng: Random) -> Turn:
    """The same, but only a grammar knows the key."""
    turn = answer_fact(rng)
    return Turn(
        turn.user[: turn.user.index("?") + 1] + rng.choice((" Answer in JSON.", " Use JSON.")), turn.answer
    )


def list_words(rng: Random) -> Turn:
    chosen = words.draw_words(rng, 1, 6)
    text = " ".join(chosen)
    request, value = rng.choice(
        (
            (f"List as JSON: {text}", chosen),
            (f"Give a JSON list: {text}", chosen),
            (f"Give JSON with a list of words: {text}", {"words": chosen}),
            (f"Give JSON with words and count: {text}", {"words": chosen, "count": len(chosen)}),
        )
    )
    return Turn(request, _dump(value, is_compact=False), "I write JSON.")


def map_pairs(rng: Random) -> Turn:
    """Any keys with any values: "Give JSON: house is red, river is 7." """
    keys = words.draw_keys(rng, rng.randint(1, 4))
    values = [words.draw_number(rng) if rng.random() < 0.4 else rng.choice(words.WORDS) for _ in keys]
    pairs = dict(zip(keys, values, strict=True))
    is_compact = rng.random() < 0.3
    said = rng.choice((" is ", " ", ": ", " = "))
    listed = ", ".join(f"{key}{said}{value}" for key, value in pairs.items())
    answered = dict(rng.sample(list(pairs.items()), len(pairs)))
    if rng.random() < 0.5:
        return Turn(
            f"Give {'compact ' * is_compact}JSON: {listed}",
            _dump(pairs, is_compact=is_compact),
            "I write JSON.",
        )
    instruction = _ask_for(rng, list(answered), is_compact=is_compact)
    return Turn(f"{instruction} {listed}", _dump(answered, is_compact=is_compact), "I write JSON.")


def nest(rng: Random) -> Turn:
    person = _draw_person(rng)
    name, age, city = person["name"], person["age"], person["city"]
    request, value = rng.choice(
        (
            (f"Give JSON with a person inside: {name}, age {age}.", {"person": {"name": name, "age": age}}),
            (
                f"Give JSON with person and city: {name}, age {age}, city {city}.",
                {"person": {"name": name, "age": age}, "city": city},
            ),
            (
                f"Give JSON with id {age} and a user inside: {name}, city {city}.",
                {"id": age, "user": {"name": name, "city": city}},
            ),
        )
    )
    return Turn(request, _dump(value, is_compact=False), "I write JSON.")


JSON_SKILLS = (
    Skill("json person", give_person, 1.6),
    Skill("json extract", extract_person, 2.4),
    Skill("json forced keys", fill_forced_keys, 0.8, is_scored=False),
    Skill("json fact", answer_fact, 0.6, is_open=False),
    Skill("json forced fact", answer_under_forced_key, 0.4, is_open=False, is_scored=False),
    Skill("json event", extract_event, 0.8, is_scored=False),
    Skill("json list", list_words, 0.9),
    Skill("json pairs", map_pairs, 1.8),
    Skill("json nested", nest, 0.7),
)
