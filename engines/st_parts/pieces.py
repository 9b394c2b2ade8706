"""Cuts requests into pieces and chooses fairly which pieces make up a batch. Pure; knows neither models nor tokenizers.

A batch is computed as a rectangle: every text is padded to the longest. So texts of like length belong together.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

_PIECES_PER_BATCH = (
    4  # a request alone fills a batch with so many pieces, so that others find room in between
)
_PADDING_SHARE = 8  # one padded token for so many real ones
_LIKENESS_STEPS = 8  # texts are of like length up to so small a part of it


class Tokens(NamedTuple):
    """A text as the model reads it; `index` is its number in its request. `type_ids` tell a pair's halves apart."""

    index: int
    ids: list[int]
    type_ids: list[int]


class Shape(NamedTuple):
    """The rectangle that some texts fill."""

    num_texts: int
    longest: int
    num_tokens: int

    def joined(self, other: "Shape") -> "Shape":
        return Shape(
            self.num_texts + other.num_texts,
            max(self.longest, other.longest),
            self.num_tokens + other.num_tokens,
        )


class Budget(NamedTuple):
    """What may be computed at once: `max_tokens` with padding. A further call costs as much as `call_tokens`."""

    max_tokens: int
    call_tokens: int

    def allows(self, shape: Shape) -> bool:
        """Whether joining these texts costs less than computing them apart."""
        padded = shape.num_texts * shape.longest
        waste = padded - shape.num_tokens
        return padded <= self.max_tokens and waste <= self.call_tokens + shape.num_tokens // _PADDING_SHARE

    def of_pieces(self) -> "Budget":
        return Budget(max(1, self.max_tokens // _PIECES_PER_BATCH), self.call_tokens)


class Ticket:
    """One request in the line. `turn` grows whenever it is served; the smallest is next."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.has_begun = False


class Piece(NamedTuple):
    """Some texts of one request, of like length. `dimensions`: None for the model's own."""

    ticket: Ticket
    texts: tuple[Tokens, ...]
    shape: Shape
    dimensions: int | None = None


class WaitingPiece(Protocol):
    """A job of the batcher."""

    priority: int
    work: Piece


_Job = TypeVar("_Job", bound=WaitingPiece)


def cut(
    texts: Sequence[Tokens], ticket: Ticket, budget: Budget, dimensions: int | None = None
) -> Iterator[Piece]:
    """The pieces of a request, longest texts first; `budget` is that of pieces."""
    held: list[Tokens] = []
    shape = Shape(0, 0, 0)
    for text in sorted(texts, key=lambda text: len(text.ids), reverse=True):
        length = len(text.ids)
        grown = shape.joined(Shape(1, length, length))
        if held and not budget.allows(grown):
            yield Piece(ticket, tuple(held), shape, dimensions)
            held, grown = [], Shape(1, length, length)
        held.append(text)
        shape = grown
    if held:
        yield Piece(ticket, tuple(held), shape, dimensions)


class Line:
    """Requests take turns: after a batch a request stands behind those that waited meanwhile, before later ones.

    So a large request never holds up a small one for more than a batch or two, and no stream of small ones can starve
    a large one.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._turn = 0

    def enter(self) -> Ticket:
        return Ticket(2 * self._turn)

    def choose(self, waiting: Sequence[_Job]) -> list[_Job]:
        """The next in line, and what shares a batch with it at little cost; `waiting` comes oldest first.

        Among those of like length the order of the line decides, so that a large request leaves room for others.
        """
        self._turn += 1
        first = min(waiting, key=lambda job: (job.priority, job.work.ticket.turn))
        batch, shape = [first], first.work.shape
        for job in sorted(waiting, key=lambda job: _rank(job, shape.longest)):
            joined = shape.joined(job.work.shape)
            if job is not first and self._budget.allows(joined):
                batch.append(job)
                shape = joined
        for job in batch:
            job.work.ticket.turn = 2 * self._turn + 1
            job.work.ticket.has_begun = True
        return batch


def _rank(job: WaitingPiece, length: int) -> tuple[int, int, int]:
    """How early a piece may join a batch of texts of `length`."""
    other = job.work.shape.longest
    unlikeness = _LIKENESS_STEPS * (max(length, other) - min(length, other)) // min(length, other)
    return job.priority, unlikeness, job.work.ticket.turn
