"""What the reranker learns from and is measured by: a question with passages, some of which answer it.

It knows nothing of models; how alike texts are comes in as the teacher's vectors.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from torch import Tensor

HELD_OUT_RANKINGS = Path(__file__).parent / "held_out_rankings.txt"
_NUM_SIMILAR = 24
"""Wrong passages are drawn from so many of the most similar ones in a sample of the texts."""
_SAMPLE = 4000
_HIGHEST_WRONG_TARGET = 0.5
PASSAGE_SPACES = 12
QUERIES_PER_BATCH = 16


class Ranking(NamedTuple):
    """``passages[0]`` is the one that answers."""

    query: str
    passages: list[str]


class Scored(NamedTuple):
    """Positions of texts, and for each passage how relevant it is, 0 to 1; ``passages[0]`` is right."""

    query: int
    passages: list[int]
    targets: list[float]


def read_held_out_rankings() -> list[Ranking]:
    """Written by hand: the wrong passages share words with the query, the right one hardly does."""
    blocks = HELD_OUT_RANKINGS.read_text().strip().split("\n\n")
    lines = [[line[2:] for line in block.split("\n")] for block in blocks]
    return [Ranking(query, passages) for query, *passages in lines]


def with_strangers(rankings: list[Ranking]) -> list[Ranking]:
    """The same queries, with the answers to the four next queries as the wrong passages."""
    answers = [ranking.passages[0] for ranking in rankings]
    doubled = answers + answers
    return [Ranking(ranking.query, doubled[index : index + 5]) for index, ranking in enumerate(rankings)]


def weigh(pairs: list[tuple[int, int]], texts: list[str]) -> list[tuple[int, int]]:
    """``pairs`` of positions in ``texts``, those that end in a whole passage three times."""
    counts = (3 if texts[second].count(" ") > PASSAGE_SPACES else 1 for _, second in pairs)
    return [pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)]


def draw_scored(rng: Random, pairs: list[tuple[int, int]], vectors: Tensor) -> Iterator[list[Scored]]:
    """Batches of pairs in random order: the second is right, two alike and one stranger are wrong.

    Ends after one round. ``vectors`` are the teacher's, of unit length.
    """
    order = rng.sample(pairs, len(pairs))
    seconds = [second for _, second in pairs]
    for start in range(0, len(order), QUERIES_PER_BATCH):
        batch = order[start : start + QUERIES_PER_BATCH]
        sample = sorted(set(rng.choices(seconds, k=_SAMPLE)))
        cosines = vectors[[query for query, _ in batch]] @ vectors[sample].T
        nearest = cosines.topk(min(_NUM_SIMILAR, len(sample))).indices.tolist()
        alike = [[sample[place] for place in places] for places in nearest]
        yield [_score(rng, pair, near, sample, vectors) for pair, near in zip(batch, alike, strict=True)]


def _score(
    rng: Random, pair: tuple[int, int], alike: list[int], sample: list[int], vectors: Tensor
) -> Scored:
    query, answer = pair
    wrong = rng.sample([index for index in alike if index not in pair], 2)
    passages = [answer, *wrong, rng.choice([index for index in rng.sample(sample, 3) if index not in pair])]
    cosines = (vectors[passages] @ vectors[query]).tolist()
    targets = [1.0, *(min(_HIGHEST_WRONG_TARGET, relevance(cosine)) for cosine in cosines[1:])]
    return Scored(query, passages, targets)


def relevance(cosine: float) -> float:
    """The teacher's cosine as a share of relevance: nothing below 0.2, all from 0.9 on."""
    return min(1.0, max(0.0, (cosine - 0.2) / 0.7))
