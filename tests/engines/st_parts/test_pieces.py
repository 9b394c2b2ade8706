"""Which texts share a batch: those of like length, and every request in its turn."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from engines.st_parts.pieces import Budget, Line, Piece, Shape, Ticket, Tokens, cut

BUDGET = Budget(max_tokens=1024, call_tokens=32)


class Waiting(NamedTuple):
    work: Piece
    priority: int = 0
    name: str = ""


def texts(*lengths: int) -> list[Tokens]:
    return [Tokens(index, [7] * length, [0] * length) for index, length in enumerate(lengths)]


def pieces_of(line: Line, lengths: Sequence[int], name: str = "", priority: int = 0) -> list[Waiting]:
    """One request that enters the line now."""
    ticket = line.enter()
    return [Waiting(piece, priority, name) for piece in cut(texts(*lengths), ticket, BUDGET.of_pieces())]


def run(line: Line, waiting: list[Waiting]) -> list[Waiting]:
    """The next batch, taken out of what waits."""
    batch = line.choose(waiting)
    for job in batch:
        waiting.remove(job)
    return batch


def test_request_is_cut_into_pieces_of_like_length() -> None:
    pieces = list(cut(texts(10, 200, 11, 190), Ticket(0), BUDGET.of_pieces()))

    assert [[text.index for text in piece.texts] for piece in pieces] == [[1], [3], [2, 0]]
    assert [piece.shape for piece in pieces] == [(1, 200, 200), (1, 190, 190), (2, 11, 21)]


def test_pieces_hold_every_text_once_within_their_budget() -> None:
    source = random.Random(3)
    lengths = [source.randrange(2, 257) for _ in range(500)]

    pieces = list(cut(texts(*lengths), Ticket(0), BUDGET.of_pieces()))

    assert sorted(text.index for piece in pieces for text in piece.texts) == list(range(500))
    assert all(piece.shape.num_texts * piece.shape.longest <= 256 for piece in pieces)


def test_text_longer_than_the_budget_is_computed_alone() -> None:
    line = Line(BUDGET)
    waiting = pieces_of(line, [5000]) + pieces_of(line, [10])

    assert [job.work.shape.longest for job in run(line, waiting)] == [5000]
    assert [job.work.shape.longest for job in run(line, waiting)] == [10]


def test_short_texts_are_joined_even_if_they_pad() -> None:
    """A call of its own would cost more than the padding."""
    assert BUDGET.allows(Shape(2, 50, 70))
    assert not BUDGET.allows(Shape(2, 200, 210))


def test_texts_of_different_requests_share_a_batch() -> None:
    line = Line(BUDGET)
    waiting = [job for _ in range(32) for job in pieces_of(line, [16])]

    assert len(run(line, waiting)) == 32


def test_small_request_comes_next_after_the_running_batch_of_a_large_one() -> None:
    line = Line(BUDGET)
    waiting = pieces_of(line, [200] * 2048, "large")
    run(line, waiting)
    waiting += pieces_of(line, [16], "small")

    assert run(line, waiting)[0].name == "small"


def test_large_request_is_not_starved_by_a_stream_of_small_ones() -> None:
    line = Line(BUDGET)
    waiting = pieces_of(line, [200] * 40, "large")

    for _ in range(200):
        waiting += [job for _ in range(5) for job in pieces_of(line, [200], "small")]
        run(line, waiting)

    assert not [job for job in waiting if job.name == "large"]


def test_urgent_request_goes_before_older_ones() -> None:
    line = Line(BUDGET)
    waiting = pieces_of(line, [200], "old", priority=10) + pieces_of(line, [16], "urgent", priority=0)

    assert [job.name for job in run(line, waiting)] == ["urgent"]


def test_mixed_lengths_cost_little_more_than_if_all_were_sorted() -> None:
    """256 texts of 6 to 256 tokens, log-uniform, from 32 requests."""
    source = random.Random(1)
    lengths = [int(6 * 43 ** source.random()) for _ in range(256)]
    line = Line(BUDGET)
    waiting = [job for first in range(0, 256, 8) for job in pieces_of(line, lengths[first : first + 8])]
    cost = 0

    while waiting:
        shapes = [job.work.shape for job in run(line, waiting)]
        cost += cost_of(max(shape.longest for shape in shapes), sum(shape.num_texts for shape in shapes))

    assert cost <= 1.2 * cost_when_sorted(lengths)


def cost_of(longest: int, num_texts: int) -> int:
    return longest * num_texts + BUDGET.call_tokens


def cost_when_sorted(lengths: list[int]) -> int:
    """Longest first, every batch as full as the budget allows."""
    left = sorted(lengths, reverse=True)
    cost = 0
    while left:
        num_texts = min(len(left), BUDGET.max_tokens // left[0])
        cost += cost_of(left[0], num_texts)
        left = left[num_texts:]
    return cost
