"""Reads what a server answered, after the measurement: tokens and times. Knows no connection."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_EVENT_END = b"\n\n"
_DATA = b"data: "
_DONE = b"[DONE]"


class BadAnswer(Exception):
    """The server answered something else than was asked for, so the measurement is void."""


@dataclass(frozen=True)
class Exchange:
    """When a request was sent, and each piece of the answer's body with its time; all of one clock."""

    sent_at: float
    status: int
    pieces: Sequence[tuple[float, bytes]]


@dataclass(frozen=True)
class Reading:
    """Times are seconds. `gaps` lie between the events that carry text; both are empty unless streamed."""

    num_tokens: int
    duration: float
    first_text: float | None = None
    gaps: tuple[float, ...] = ()


def read(exchange: Exchange, *, stream: bool) -> Reading:
    """Raises BadAnswer."""
    if exchange.status != 200 or not exchange.pieces:
        text = b"".join(piece for _, piece in exchange.pieces)[:500]
        raise BadAnswer(f"status {exchange.status}: {text.decode(errors='replace')}")
    return _read_stream(exchange) if stream else _read_whole(exchange)


def _read_whole(exchange: Exchange) -> Reading:
    answer = json.loads(b"".join(piece for _, piece in exchange.pieces))
    return Reading(answer["usage"]["completion_tokens"], exchange.pieces[-1][0] - exchange.sent_at)


def _read_stream(exchange: Exchange) -> Reading:
    text_times, num_tokens, is_complete = [], 0, False
    for time, data in _events(exchange.pieces):
        if data == _DONE:
            is_complete = True
            continue
        chunk = json.loads(data)
        if any(choice["delta"].get("content") for choice in chunk["choices"]):
            text_times.append(time)
        if usage := chunk.get("usage"):
            num_tokens = usage["completion_tokens"]
    if not is_complete or not text_times:
        raise BadAnswer("the stream ended early")
    gaps = tuple(after - before for before, after in pairwise(text_times))
    return Reading(
        num_tokens, exchange.pieces[-1][0] - exchange.sent_at, text_times[0] - exchange.sent_at, gaps
    )


def _events(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The data of each server-sent event, with the time its last byte came."""
    rest = b""
    for time, piece in pieces:
        *whole, rest = (rest + piece).split(_EVENT_END)
        for event in whole:
            if event.startswith(_DATA):
                yield time, event[len(_DATA) :]
