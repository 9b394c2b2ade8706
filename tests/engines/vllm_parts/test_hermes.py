"""Hermes calls are read the same whole or in any pieces."""

import random

import pytest

from engines.vllm_parts.hermes import HermesText

Reading = tuple[str, list[tuple[str, str]]]


def read(pieces: list[str], max_calls: int | None = None) -> Reading:
    """Content and calls of a text that comes in these pieces."""
    text = HermesText(max_calls)
    content, calls = "", list[tuple[str, str]]()
    for number, piece in enumerate(pieces, start=1):
        added, deltas = text.feed(piece, is_last=number == len(pieces))
        content += added
        for delta in deltas:
            if delta.name is not None:
                assert delta.index == len(calls)
                calls.append((delta.name, ""))
            name, arguments = calls[delta.index]
            calls[delta.index] = (name, arguments + delta.arguments)
    assert text.num_calls == len(calls)
    return content, calls


EXAMPLES: dict[str, tuple[str, Reading]] = {
    "no call": ("a < b", ("a < b", [])),
    "one call": (
        ' \n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
        ("", [("f", '{"a": 1}')]),
    ),
    "content, then two calls": (
        'So.\n<tool_call>{"name":"f","arguments":{"a":[{"b":2}]} }</tool_call>\n'
        '<tool_call>{"name": "g", "arguments": {}}</tool_call> bye',
        ("So.\n", [("f", '{"a":[{"b":2}]}'), ("g", "{}")]),
    ),
    "arguments before the name": (
        '<tool_call>{"arguments": {"q": "w"}, "name": "g"}</tool_call>',
        ("", [("g", '{"q": "w"}')]),
    ),
    "marks within a string": (
        '<tool_call>{"name": "f", "arguments": {"s": "}</tool_call>\\"{"}}</tool_call>',
        ("", [("f", '{"s": "}</tool_call>\\"{"}')]),
    ),
    "no arguments": ('<tool_call>{"name": "f"}</tool_call>', ("", [("f", "{}")])),
    "arguments as text": (
        '<tool_call>{"name": "f", "arguments": "{}"}</tool_call>',
        ("", [("f", '"{}"')]),
    ),
    "one brace too many": ('<tool_call>{"name": "f", "arguments": {}}}</tool_call>', ("", [("f", "{}")])),
    "one brace too few": ('<tool_call>{"name": "f", "arguments": {}</tool_call>', ("", [("f", "{}")])),
    "cut in the arguments": (
        '<tool_call>{"name": "f", "arguments": {"a": ',
        ("", [("f", '{"a": ')]),
    ),
    "cut in the name": ('<tool_call>{"name": "f', ('<tool_call>{"name": "f', [])),
    "cut in the tag": ("well <tool_c", ("well <tool_c", [])),
    "no JSON": ("<tool_call>hm</tool_call> ok", ("<tool_call>hm</tool_call> ok", [])),
    "name is no string": ('<tool_call>{"name": 3}</tool_call>', ('<tool_call>{"name": 3}</tool_call>', [])),
    "blank": ("  \n", ("  \n", [])),
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_reading_does_not_depend_on_the_pieces(text: str, expected: Reading) -> None:
    rng = random.Random(0)

    assert expected == read([text])
    assert expected == read(list(text))
    for _ in range(200):
        cuts = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(1, 8)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert expected == read(pieces), pieces


def test_arguments_stream_as_they_come() -> None:
    text = HermesText()
    text.feed('<tool_call>{"name": "f", "arguments": {"a"', is_last=False)

    _, deltas = text.feed(': "long', is_last=False)

    assert [(delta.id, delta.name, delta.arguments) for delta in deltas] == [(None, None, ': "long')]


def test_only_the_first_call_counts_where_one_is_allowed() -> None:
    text, _ = EXAMPLES["content, then two calls"]

    assert read([text], max_calls=1) == ("So.\n", [("f", '{"a":[{"b":2}]}')])
