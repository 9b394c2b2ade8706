"""Readers take one choice's text apart into content, reasoning and tool calls; they know nothing of grammars.

Each reader gives the same sum for a text in one piece or in many.
"""

import uuid
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from engines.contract.chat import ToolCallDelta
from engines.vllm_parts.hermes import HermesText


class Piece(msgspec.Struct, frozen=True):
    """What a piece of output adds to its choice."""

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()


class Reader(Protocol):
    """The state of one choice. `num_calls` and `reasoning_tokens` hold at the end."""

    num_calls: int
    reasoning_tokens: int

    def read(self, text: str, token_ids: list[int], *, is_last: bool) -> Piece: ...


class HermesReader:
    """Calls in the Hermes format, with our own reader: vLLM's streaming and whole parsers differ there."""

    reasoning_tokens = 0

    def __init__(self, max_calls: int | None) -> None:
        self._text = HermesText(max_calls)

    @property
    def num_calls(self) -> int:
        return self._text.num_calls

    def read(self, text: str, token_ids: list[int], *, is_last: bool) -> Piece:
        content, calls = self._text.feed(text, is_last=is_last)
        return Piece(content, "", calls)


class ReasoningReader:
    """Reasoning by one of vLLM's parsers; what is not reasoning goes on to the `inner` reader, if there is one.

    Tokens are counted by a second parser, which saw no pieces: the first one counts what its pieces let it see.
    """

    def __init__(
        self, make_parser: Callable[[], Any], vllm_request: Any, prompt_ids: list[int], inner: Reader | None
    ) -> None:
        self._parser, self._counter = make_parser(), make_parser()
        self._request = vllm_request
        self._prompt_ids = prompt_ids
        self._inner = inner
        self._token_ids: list[int] = []
        self.reasoning_tokens = 0

    @property
    def num_calls(self) -> int:
        return self._inner.num_calls if self._inner else 0

    def read(self, text: str, token_ids: list[int], *, is_last: bool) -> Piece:
        self._token_ids += token_ids
        delta = self._parser.parse_delta(
            text, token_ids, self._request, prompt_token_ids=self._prompt_ids, finished=is_last
        )
        if is_last:
            self.reasoning_tokens = self._counter.count_reasoning_tokens(self._token_ids)
        content = (delta.content if delta else None) or ""
        piece = Piece(content)
        if self._inner is not None:
            piece = self._inner.read(content, token_ids, is_last=is_last)
        return Piece(piece.content, (delta.reasoning if delta else None) or "", piece.tool_calls)


class LibraryReader:
    """Calls in any format that vLLM knows: content streams, calls come whole at the end, out of the whole text.

    vLLM's streaming parsers write arguments otherwise than its whole ones, so the whole ones decide.
    """

    def __init__(
        self, make_parser: Callable[[], Any], vllm_request: Any, prompt_ids: list[int], max_calls: int | None
    ) -> None:
        self._streaming, self._whole = make_parser(), make_parser()
        self._request = vllm_request
        self._prompt_ids = prompt_ids
        self._max_calls = max_calls
        self._token_ids: list[int] = []
        self._text = self._content = ""
        self.num_calls = self.reasoning_tokens = 0

    def read(self, text: str, token_ids: list[int], *, is_last: bool) -> Piece:
        self._text += text
        self._token_ids += token_ids
        delta = self._streaming.parse_delta(
            text, token_ids, self._request, prompt_token_ids=self._prompt_ids, finished=is_last
        )
        content = (delta.content if delta else None) or ""
        self._content += content
        calls: tuple[ToolCallDelta, ...] = ()
        if is_last:
            rest, calls = self._finish()
            content += rest
        return Piece(content, (delta.reasoning if delta else None) or "", calls)

    def _finish(self) -> tuple[str, tuple[ToolCallDelta, ...]]:
        """Content that did not stream, and the calls."""
        self._whole.set_prompt_token_ids(self._prompt_ids)
        _, content, calls = self._whole.parse(
            self._text, self._request, enable_auto_tools=True, model_output_token_ids=self._token_ids
        )
        self.reasoning_tokens = self._whole.count_reasoning_tokens(self._token_ids)
        found = tuple(
            ToolCallDelta(index, f"call_{uuid.uuid4().hex[:24]}", call.name, call.arguments)
            for index, call in enumerate((calls or [])[: self._max_calls])
        )
        self.num_calls = len(found)
        whole = content or ""
        return whole[len(self._content) :] if whole.startswith(self._content) else "", found
