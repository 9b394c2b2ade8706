"""Readers put reasoning, content and calls together the same way from one piece or many."""

from types import SimpleNamespace
from typing import Any

import pytest

from engines.vllm_parts.readers import HermesReader, LibraryReader, Reader, ReasoningReader

CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
TEXT = f"because</think>So: {CALL}"


class FakeParser:
    """Takes everything before `</think>` as reasoning, and finds two calls in any whole text.

    With `hides_calls` it shows no content once a call has begun, as a parser for tools does.
    """

    def __init__(self, *, hides_calls: bool) -> None:
        self._hides_calls = hides_calls
        self._has_thought = self._is_in_call = False

    def parse_delta(self, text: str, token_ids: list[int], request: Any, **_: Any) -> SimpleNamespace | None:
        if self._is_in_call:
            return None
        reasoning, end, content = ("", "", text) if self._has_thought else text.partition("</think>")
        self._has_thought = self._has_thought or bool(end)
        if self._hides_calls:
            content, call, _ = content.partition("<tool_call>")
            self._is_in_call = bool(call)
        return SimpleNamespace(reasoning=reasoning or None, content=content or None)

    def parse(
        self, text: str, request: Any, **_: Any
    ) -> tuple[str | None, str | None, list[SimpleNamespace]]:
        content = text.partition("</think>")[2].partition("<tool_call>")[0]
        return None, content + "(end)", [SimpleNamespace(name="f", arguments='{"a": 1}')] * 2

    def set_prompt_token_ids(self, ids: list[int]) -> None:
        assert ids == [7]

    def count_reasoning_tokens(self, token_ids: list[int]) -> int:
        return len(token_ids) // 2


def read(reader: Reader, pieces: list[str]) -> tuple[str, str, list[tuple[int, str | None, str]]]:
    content = reasoning = ""
    calls: dict[int, tuple[int, str | None, str]] = {}
    for number, piece in enumerate(pieces, start=1):
        got = reader.read(piece, [1, 2], is_last=number == len(pieces))
        content += got.content
        reasoning += got.reasoning
        for delta in got.tool_calls:
            _, name, arguments = calls.get(delta.index, (delta.index, delta.name, ""))
            calls[delta.index] = (delta.index, name, arguments + delta.arguments)
    return content, reasoning, list(calls.values())


PIECES = [[TEXT], ["be", "cause</think>", "So: ", CALL[:20], CALL[20:]]]


@pytest.mark.parametrize("pieces", PIECES)
def test_calls_are_read_out_of_what_is_no_reasoning(pieces: list[str]) -> None:
    reader = ReasoningReader(lambda: FakeParser(hides_calls=False), None, [7], HermesReader(None))

    assert read(reader, pieces) == ("So: ", "because", [(0, "f", '{"a": 1}')])
    assert (reader.num_calls, reader.reasoning_tokens) == (1, len(pieces))


def test_reasoning_without_tools_leaves_calls_in_the_content() -> None:
    reader = ReasoningReader(lambda: FakeParser(hides_calls=False), None, [7], None)

    assert read(reader, [TEXT]) == (f"So: {CALL}", "because", [])
    assert reader.num_calls == 0


@pytest.mark.parametrize("pieces", PIECES)
def test_librarys_whole_parser_decides_about_calls_and_the_rest_of_the_content(pieces: list[str]) -> None:
    reader = LibraryReader(lambda: FakeParser(hides_calls=True), None, [7], max_calls=None)

    calls = [(0, "f", '{"a": 1}'), (1, "f", '{"a": 1}')]
    assert read(reader, pieces) == ("So: (end)", "because", calls)
    assert reader.num_calls == 2


def test_only_the_first_call_counts_where_one_is_allowed() -> None:
    reader = LibraryReader(lambda: FakeParser(hides_calls=True), None, [7], max_calls=1)

    read(reader, [TEXT])

    assert reader.num_calls == 1
