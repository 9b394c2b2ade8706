"""Lines that share a beginning run one after the other."""

import itertools
import random
from typing import Any

import pytest

from server.batch.endpoints import ENDPOINTS
from server.batch.input_check import CheckedLine
from server.batch.prefix import PREFIX_CHARS, execution_order, prefix_key

CHAT, GENERATE = ENDPOINTS["/v1/inference/chat"], ENDPOINTS["/v1/completions"]


def talk(*turns: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]} | more


def ranked(keys: list[bytes], model: str = "m") -> list[CheckedLine]:
    return [CheckedLine(number, str(number), model, 0, 1, key) for number, key in enumerate(keys, 1)]


@pytest.mark.parametrize("size", [100, 500, 3000, 40_000])
def test_shuffled_lines_of_64_shared_prefixes_come_out_adjacent(size: int) -> None:
    """Of 640 lines only 63 follow one of another prefix, so 64 prefixes are computed and 576 times one is reused."""
    chance = random.Random(size)
    prefixes = [chance.randbytes(size // 2).hex() for _ in range(64)]
    wanted = [number % 64 for number in range(640)]
    chance.shuffle(wanted)
    bodies = [talk(("system", prefixes[number]), ("user", chance.randbytes(20).hex())) for number in wanted]

    order = execution_order(ranked([prefix_key(CHAT, body) for body in bodies]))

    ran = [wanted[line_no - 1] for line_no in order]
    assert sorted(order) == list(range(1, 641))
    assert sum(before != after for before, after in itertools.pairwise(ran)) == 63


def test_longer_common_beginnings_are_nearer() -> None:
    """Texts that part after 300 and after 2000 characters: the latter stay together within the former."""
    texts = [
        "a" * 300 + end for end in ("b" * 2000 + "1", "c" * 2000 + "1", "b" * 2000 + "2", "c" * 2000 + "2")
    ]

    order = execution_order(ranked([prefix_key(GENERATE, {"prompt": text * 2}) for text in texts]))

    assert sorted([sorted(order[:2]), sorted(order[2:])]) == [[1, 3], [2, 4]]


def test_models_run_one_after_the_other_and_equal_lines_in_their_order() -> None:
    lines = [CheckedLine(number, "", "mn"[number % 2], 0, 1, b"") for number in range(1, 7)]

    assert execution_order(lines) == [2, 4, 6, 1, 3, 5]


def test_tools_and_system_text_come_first_wherever_they_stand() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 100}}]
    keys = {
        prefix_key(CHAT, talk(("user", str(number)), ("system", "s" * 100), tools=tools))[:16]
        for number in range(5)
    }

    assert len(keys) == 1


def test_key_is_small_and_of_texts_only() -> None:
    long = talk(("user", "x" * 1_000_000))

    assert len(prefix_key(CHAT, long)) == 8 * len(PREFIX_CHARS)
    assert prefix_key(CHAT, long) == prefix_key(CHAT, talk(("user", "x" * 1_000_001)))
    assert prefix_key(GENERATE, {"prompt": ["a", "b"]}) == prefix_key(GENERATE, {"prompt": "a"})
    assert prefix_key(GENERATE, {"prompt": [1, 2]}) != prefix_key(GENERATE, {"prompt": [1, 3]})
    for url in ("/v1/embeddings", "/v1/inference/audio/transcribe", "/v1/images/generations", "/v1/rerank"):
        assert prefix_key(ENDPOINTS[url], {"input": "x"}) == b""


@pytest.mark.parametrize(
    "odd", [None, 1, "x", [], [1], [None], {}, {"a": 1}, [{"role": []}], [[[]]], "\u00e9"]
)
def test_any_body_has_a_key(odd: Any) -> None:
    assert prefix_key(CHAT, {"messages": odd, "tools": odd})
    assert prefix_key(GENERATE, {"prompt": odd})
