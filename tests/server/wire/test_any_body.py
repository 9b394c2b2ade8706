"""Whatever stands in a body, it becomes a request that can be sent to a worker, or a refusal."""

import copy
import json
import random
from typing import Any

import msgspec
import pytest

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.wire.chat_body import ChatBody, parse
from server.wire.completion_body import CompletionBody, parse_completion
from server.wire.embed_body import EmbedBody, parse_embed
from server.wire.json_body import validate
from server.wire.rerank_body import RerankBody, parse_rerank
from tests.server.wire.chats import CALL, WEATHER_TOOL, talk

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    1e308,
    "",
    "x",
    "\u0000",
    "😀",
    "x" * 5000,
    [],
    [None],
    [[]],
    [{}],
    {},
    {"": None},
    {"type": "function"},
    {"type": "text", "text": "x"},
]
CHAT = talk(
    {"role": "user", "content": [{"type": "text", "text": "a"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
    tools=[WEATHER_TOOL],
    tool_choice={"type": "function", "function": {"name": "get_weather"}},
    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    stop=["a"],
    logit_bias={"1": 1},
    stream=True,
    stream_options={"include_usage": True},
    metadata={"a": "b"},
)
COMPLETION: dict[str, Any] = {"model": "m", "prompt": [[1, 2]], "stop": ["a"], "logprobs": 1, "n": 2}
EMBED: dict[str, Any] = {
    "model": "m",
    "input": ["a", "b"],
    "dimensions": 2,
    "task": "query",
    "truncate": True,
}
RERANK: dict[str, Any] = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value inside `node`."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [path] if path else []
    for key, value in entries:
        found += places(value, (*path, key))
    return found


def mutated(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A copy with one to three values replaced by odd ones or removed."""
    result = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        *parents, last = chance.choice(places(result))
        target = result
        for key in parents:
            target = target[key]
        if chance.random() < 0.1:
            del target[last]
        else:
            target[last] = copy.deepcopy(chance.choice(ODD))
        if not result:
            break
    return result


BODIES = {"chat": CHAT, "completion": COMPLETION, "embed": EMBED, "rerank": RERANK}


@pytest.mark.parametrize("kind", BODIES)
def test_mutated_bodies(kind: str) -> None:
    chance = random.Random(7)
    outcomes: list[object] = []

    for _ in range(2000):
        body = mutated(BODIES[kind], chance)
        outcomes.append(outcome(kind, json.dumps(body).encode()))

    refusals = [item for item in outcomes if isinstance(item, ServiceError)]
    assert {refusal.code for refusal in refusals} == {ErrorCode.VALIDATION_ERROR}
    assert all(refusal.details for refusal in refusals)
    assert 50 < len(refusals) < 1950
    msgspec.msgpack.encode([item for item in outcomes if not isinstance(item, ServiceError)])


def outcome(kind: str, raw: bytes) -> object:
    """The request, or the refusal."""
    try:
        match kind:
            case "chat":
                return parse(validate(raw, ChatBody))
            case "embed":
                return parse_embed(validate(raw, EmbedBody))
            case "rerank":
                return parse_rerank(validate(raw, RerankBody))
            case _:
                return parse_completion(validate(raw, CompletionBody))
    except ServiceError as refusal:
        return refusal
