"""Tools on offer in a dialogue, and what a user asks of them.

Names of tools and parameters are drawn anew for every dialogue, so the model must copy them from the prompt.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from starter_chat import words
from starter_chat.tool_families import WEATHER, draw_text
from starter_chat.tool_kinds import Family, Parameter, Value, confirm, tell_number, tell_text

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: dict[str, Value]


@dataclass(frozen=True)
class Request:
    """What a user asks of a tool, the calls that answer it, what the tool returns and what is then said."""

    user: str
    calls: tuple[Call, ...]
    results: tuple[str, ...]
    reply: str


@dataclass(frozen=True)
class OfferedTool:
    """A family (None: invented) with the names chosen for one dialogue."""

    family: Family | None
    definition: Json
    ask: Callable[[Random], Request]

    @property
    def name(self) -> str:
        return str(self.definition["function"]["name"])  # type: ignore[index]

    @property
    def parameter_names(self) -> list[str]:
        return list(self.definition["function"]["parameters"]["properties"])  # type: ignore[index]


def define(name: str, description: str, parameters: dict[str, str], optional: Json) -> Json:
    """A tool definition as the OpenAI API takes it.

    ``parameters`` maps names to JSON types, ``optional`` maps names to whole schemas.
    """
    properties: Json = {parameter: {"type": kind} for parameter, kind in parameters.items()}
    schema = {"type": "object", "properties": properties | optional, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


UNIT = {"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}


def offer(rng: Random, family: Family) -> OfferedTool:
    """A tool of the family under names of its own, now and then with an option a request may leave alone."""
    name = rng.choice(family.names)
    keys = _distinct_names(rng, family.parameters)
    numeric = rng.choice(("integer", "integer", "number"))
    kinds = [numeric if parameter.type == "integer" else parameter.type for parameter in family.parameters]
    optional = _draw_option(rng, family)
    description = rng.choice(family.descriptions) + rng.choice(("", "", "."))

    def ask(rng: Random) -> Request:
        values = [parameter.draw(rng) for parameter in family.parameters]
        arguments = dict(zip(keys, values, strict=True))
        user = rng.choice(family.phrases).format(*values)
        if optional == UNIT and rng.random() < 0.5:
            arguments["unit"] = rng.choice(("celsius", "fahrenheit"))
            user = f"{user[:-1]} in {arguments['unit']}{user[-1]}"
        result, reply = family.conclude(rng, values)
        return Request(user, (Call(name, arguments),), (result,), reply)

    return OfferedTool(family, define(name, description, dict(zip(keys, kinds, strict=True)), optional), ask)


def _draw_option(rng: Random, family: Family) -> Json:
    if family is WEATHER and rng.random() < 0.25:
        return UNIT
    if rng.random() < 0.1:
        return {rng.choice(("limit", "language", "mode", "color", "note")): {"type": "string"}}
    return {}


def _distinct_names(rng: Random, parameters: tuple[Parameter, ...]) -> list[str]:
    while True:
        keys = [rng.choice(parameter.names) for parameter in parameters]
        if len(set(keys)) == len(keys):
            return keys


def invent(rng: Random) -> OfferedTool:
    """A tool nobody has seen: a verb and a noun, with parameters named by words."""
    verb = rng.choice(words.VERBS + words.TOOL_VERBS)
    noun = rng.choice(words.THINGS + words.ANIMALS + words.TOOL_NOUNS)
    name = rng.choice((f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}_the_{noun}"))
    keys = words.draw_keys(rng, rng.choice((1, 1, 2, 2, 3)))
    types = {key: rng.choice(("string", "integer")) for key in keys}
    description = rng.choice((f"{verb} a {noun}", f"{verb} the {noun}", f"{verb} {noun}")).capitalize()

    def ask(rng: Random) -> Request:
        arguments: dict[str, Value] = {}
        for key, kind in types.items():
            arguments[key] = words.draw_number(rng) if kind == "integer" else _draw_text_argument(rng)
        said = rng.choice((" ", " is ", " = ", ": "))
        listed = rng.choice((" and ", ", ")).join(f"{key}{said}{value}" for key, value in arguments.items())
        order = f"{verb} the {noun}" if rng.random() < 0.7 else f"Use {name}"
        result, reply = rng.choice((confirm, tell_number("result"), tell_text("result")))(rng, [])
        user = f"{order[0].upper()}{order[1:]} with {listed}."
        if len(arguments) == 1 and rng.random() < 0.4:
            value = next(iter(arguments.values()))
            user = rng.choice(
                (f"{verb} the {noun} {value}.", f"{verb} {noun} {value}.", f"{verb} the {noun}: {value}")
            )
            user = user[0].upper() + user[1:]
        return Request(user, (Call(name, arguments),), (result,), reply)

    return OfferedTool(None, define(name, description, types, {}), ask)


def _draw_text_argument(rng: Random) -> str:
    return rng.choice((words.draw_name, words.draw_city, draw_text, lambda rng: rng.choice(words.WORDS)))(rng)


def ask_two_cities(rng: Random, tool: OfferedTool) -> Request:
    """One question about two cities, for the families whose only argument is a city."""
    first, second = rng.sample(words.CITIES, 2)
    name, key = tool.name, tool.parameter_names[0]
    calls = (Call(name, {key: first}), Call(name, {key: second}))
    if tool.family is WEATHER:
        ask = (
            "What is the weather in {0} and {1}?",
            "What's the weather in {0} and in {1}?",
            "How is the weather in {0} and {1}?",
            "Tell me the weather in {0} and {1}.",
            "Weather in {0} and {1}?",
        )
        warm, cool = rng.randint(1, 39), rng.randint(1, 39)
        key = rng.choice(("temperature", "degrees", "temp"))
        results = (
            (json.dumps({key: warm}), json.dumps({key: cool}))
            if rng.random() < 0.7
            else (str(warm), str(cool))
        )
        reply = f"It is {warm} degrees in {first} and {cool} degrees in {second}."
    else:
        ask = ("What time is it in {0} and {1}?", "Tell me the time in {0} and in {1}.")
        clocks = [f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}" for _ in range(2)]
        results = (clocks[0], clocks[1])
        reply = f"It is {clocks[0]} in {first} and {clocks[1]} in {second}."
    return Request(rng.choice(ask).format(first, second), calls, results, reply)
