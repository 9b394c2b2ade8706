"""Whole dialogues in the shape of the OpenAI API, drawn from the skills and the tools.

A dialogue ends with the assistant's message that an evaluation expects.
"""

import zlib
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from starter_chat import tools, words
from starter_chat.json_skills import JSON_SKILLS
from starter_chat.skills import SKILLS
from starter_chat.tool_families import ADD, CLOCK, FAMILIES, WEATHER
from starter_chat.turns import Skill, Turn, vary

Message: TypeAlias = dict[str, object]
ToolDefinition: TypeAlias = tools.Json

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "Answer briefly.",
    "Be short and friendly.",
    "You are a small test model.",
    "You are an assistant that answers in one sentence.",
    "You are Hearth.",
    "You help with facts and tools.",
)

NO_TOOL = "I have no tool for that."
ALL_SKILLS: dict[str, Skill] = {skill.kind: skill for skill in (*SKILLS, *JSON_SKILLS)}
TOOL_KINDS = {
    "tool call": 3.2,
    "invented tool call": 3.5,
    "two tool calls": 1.2,
    "tool result": 1.6,
    "two tool results": 0.6,
    "direct answer beside tools": 1.5,
    "no fitting tool": 1.2,
}
HELD_OUT_SHARE = 12
"""One question of every kind in this many is kept out of training."""


@dataclass(frozen=True)
class Dialogue:
    kind: str
    messages: list[Message]
    tools: list[ToolDefinition] = field(default_factory=list)
    is_thinking: bool = False


def is_held_out(question: str) -> bool:
    return zlib.crc32(question.encode()) % HELD_OUT_SHARE == 0


def scored_kinds() -> list[str]:
    """The kinds an evaluation asks about, in the card's order."""
    return [kind for kind, skill in ALL_SKILLS.items() if skill.is_scored] + [
        "memory",
        *TOOL_KINDS,
        "thinking",
    ]


def draw_turn(rng: Random, skill: Skill, *, held_out: bool) -> Turn:
    """A question from the training part, or from the part kept out of it."""
    while True:
        turn = skill.draw(rng)
        if not skill.is_open or is_held_out(turn.user) == held_out:
            return turn


def draw_training_dialogue(rng: Random) -> Dialogue:
    """One dialogue of the training mix."""
    roll = rng.random()
    if roll < 0.48:
        kind = rng.choices(list(TOOL_KINDS), weights=list(TOOL_KINDS.values()))[0]
        return draw_tool_dialogue(rng, kind, held_out=False, is_long=rng.random() < 0.4)
    if roll < 0.53:
        return draw_thinking(rng, held_out=False)
    if roll < 0.56:
        return draw_memory(rng)
    return draw_plain(rng, _draw_skill(rng), held_out=False, num_before=rng.choice((0, 0, 1, 1, 2, 3)))


def draw_scored_dialogue(rng: Random, kind: str) -> Dialogue:
    """One dialogue of the evaluation, from the part kept out of training where a kind has one."""
    if kind in TOOL_KINDS:
        return draw_tool_dialogue(rng, kind, held_out=True, is_long=False)
    if kind == "memory":
        return draw_memory(rng)
    if kind == "thinking":
        return draw_thinking(rng, held_out=True)
    return draw_plain(rng, ALL_SKILLS[kind], held_out=True, num_before=rng.choice((0, 0, 1)))


def draw_plain(rng: Random, skill: Skill, *, held_out: bool, num_before: int) -> Dialogue:
    messages = _system(rng)
    for _ in range(num_before):
        messages += _exchange(draw_turn(rng, _draw_skill(rng), held_out=False))
    return Dialogue(skill.kind, messages + _exchange(draw_turn(rng, skill, held_out=held_out)))


def draw_thinking(rng: Random, *, held_out: bool) -> Dialogue:
    """A question answered after a thought, as the template asks with ``enable_thinking``."""
    skill = (
        ALL_SKILLS[rng.choice(("addition", "count words"))]
        if rng.random() < 0.7 or held_out
        else _draw_skill(rng)
    )
    turn = draw_turn(rng, skill, held_out=held_out)
    answer = {"role": "assistant", "content": turn.answer, "reasoning_content": turn.thought}
    return Dialogue("thinking", [*_system(rng), _user(turn.user), answer], is_thinking=True)


def draw_memory(rng: Random) -> Dialogue:
    """Something the user said earlier comes back, perhaps after another question."""
    name, colour, city = words.draw_name(rng), rng.choice(words.COLOURS), words.draw_city(rng)
    statement, reaction, question, answer = rng.choice(
        (
            (
                f"My name is {name}.",
                f"Nice to meet you, {name}!",
                "What is my name?",
                f"Your name is {name}.",
            ),
            (f"I am {name}.", f"Nice to meet you, {name}!", "What is my name?", f"Your name is {name}."),
            (
                f"Hello, my name is {name}.",
                f"Nice to meet you, {name}!",
                "Do you know my name?",
                f"Your name is {name}.",
            ),
            (
                f"My favourite colour is {colour}.",
                f"I like {colour} too.",
                "What is my favourite colour?",
                f"Your favourite colour is {colour}.",
            ),
            (f"I live in {city}.", f"{city} is a nice place.", "Where do I live?", f"You live in {city}."),
        )
    )
    messages = [*_system(rng), *_exchange(Turn(statement, reaction))]
    if rng.random() < 0.5:
        messages += _exchange(draw_turn(rng, _draw_skill(rng), held_out=False))
    return Dialogue("memory", messages + _exchange(Turn(vary(rng, question), answer)))


def draw_tool_dialogue(rng: Random, kind: str, *, held_out: bool, is_long: bool) -> Dialogue:
    """A dialogue with tools on offer; ``is_long`` puts other requests of these tools before the last."""
    chosen = _offer_tools(rng, kind)
    messages = _system(rng)
    for _ in range(rng.randint(1, 2) if is_long else 0):
        request = rng.choice(chosen).ask(rng)
        messages += [*_call(request), *_conclude(request)]
    messages += _end(rng, kind, chosen, held_out=held_out)
    rng.shuffle(chosen)
    return Dialogue(kind, messages, [tool.definition for tool in chosen])


def _offer_tools(rng: Random, kind: str) -> list[tools.OfferedTool]:
    """The tools of a dialogue, the wanted one first."""
    families = rng.sample(FAMILIES, 4)
    if kind.startswith("two"):
        wanted = rng.choice((WEATHER, WEATHER, CLOCK))
        families = [wanted, *(family for family in families if family is not wanted)]
    chosen = [tools.offer(rng, family) for family in families[: rng.choice((1, 1, 2, 2, 3, 4))]]
    if kind == "invented tool call":
        chosen = [tools.invent(rng) for _ in range(rng.choice((1, 1, 2, 3)))] + chosen[2:]
    by_name = {tool.name: tool for tool in reversed(chosen)}
    return list(reversed(by_name.values()))


def _end(rng: Random, kind: str, chosen: list[tools.OfferedTool], *, held_out: bool) -> list[Message]:
    if kind == "direct answer beside tools":
        skill = _draw_skill(rng)
        excluded = {"unknown", "addition"} if any(tool.family is ADD for tool in chosen) else {"unknown"}
        while skill.kind in excluded or not skill.is_scored:
            skill = _draw_skill(rng)
        return _exchange(draw_turn(rng, skill, held_out=held_out))
    if kind == "no fitting tool":
        families = {id(tool.family) for tool in chosen}
        others = [family for family in FAMILIES if id(family) not in families and family is not ADD]
        return _exchange(Turn(tools.offer(rng, rng.choice(others)).ask(rng).user, NO_TOOL))
    while True:
        request = tools.ask_two_cities(rng, chosen[0]) if kind.startswith("two") else chosen[0].ask(rng)
        if is_held_out(request.user) == held_out:
            break
    calls = _call(request)
    return [*calls, *_conclude(request)] if kind.endswith("result") or kind.endswith("results") else calls


def _draw_skill(rng: Random) -> Skill:
    skills = list(ALL_SKILLS.values())
    return rng.choices(skills, weights=[skill.weight for skill in skills])[0]


def _system(rng: Random) -> list[Message]:
    if rng.random() < 0.5:
        return []
    quality, kind = (
        rng.choice(words.QUALITIES),
        rng.choice((*words.ANIMALS, *words.JOBS, words.invent_name(rng))),
    )
    odd = (
        f"You are a {quality} {kind}.",
        f"Talk like a {kind}.",
        f"Your task: {' '.join(words.draw_words(rng, 2, 8))}.",
    )
    prompt = rng.choice(odd) if rng.random() < 0.2 else rng.choice(SYSTEM_PROMPTS)
    return [{"role": "system", "content": prompt}]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _exchange(turn: Turn) -> list[Message]:
    return [_user(turn.user), {"role": "assistant", "content": turn.answer}]


def _call(request: tools.Request) -> list[Message]:
    calls = [
        {"type": "function", "function": {"name": call.tool, "arguments": call.arguments}}
        for call in request.calls
    ]
    return [_user(request.user), {"role": "assistant", "content": None, "tool_calls": calls}]


def _conclude(request: tools.Request) -> list[Message]:
    results: list[Message] = [{"role": "tool", "content": result} for result in request.results]
    return [*results, {"role": "assistant", "content": request.reply}]
