"""Puts the pieces of a chat answer together again. Pure; knows no dialect."""

from collections.abc import Sequence

import msgspec

from engines.contract.chat import Delta, TokenLogprob, ToolCall, ToolCallDelta
from engines.contract.requests import Item
from engines.contract.types import FinishReason


class Choice(msgspec.Struct, frozen=True):
    """One complete answer."""

    index: int
    content: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish_reason: FinishReason | None


def join(items: Sequence[Item]) -> tuple[Choice, ...]:
    """All choices of a finished request, by index."""
    parts: dict[int, list[Delta]] = {}
    for item in items:
        if isinstance(item, Delta):
            parts.setdefault(item.index, []).append(item)
    return tuple(_join_choice(index, parts[index]) for index in sorted(parts))


def condense(items: Sequence[Item]) -> list[Item]:
    """The same answer as if it had come in one step: one delta for each choice, whatever else there is before them."""
    others = [item for item in items if not isinstance(item, Delta)]
    return [*others, *map(as_delta, join(items))]


def _join_choice(index: int, deltas: list[Delta]) -> Choice:
    calls: dict[int, ToolCall] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls):
        sofar = calls.get(piece.index) or ToolCall(piece.id or "", piece.name or "", "")
        calls[piece.index] = ToolCall(sofar.id, sofar.name, sofar.arguments + piece.arguments)
    return Choice(
        index=index,
        content="".join(delta.content for delta in deltas),
        reasoning="".join(delta.reasoning for delta in deltas),
        tool_calls=tuple(calls[number] for number in sorted(calls)),
        logprobs=tuple(logprob for delta in deltas for logprob in delta.logprobs),
        finish_reason=deltas[-1].finish_reason,
    )


def as_delta(choice: Choice) -> Delta:
    """The whole choice in one piece."""
    pieces = tuple(
        ToolCallDelta(number, call.id, call.name, call.arguments)
        for number, call in enumerate(choice.tool_calls)
    )
    return Delta(
        choice.index, choice.content, choice.reasoning, pieces, choice.logprobs, choice.finish_reason
    )
