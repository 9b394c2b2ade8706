"""What the student is measured by: pairs written by hand, and the teacher's similarities of held-out texts.

It knows nothing of training.
"""

from dataclasses import dataclass

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from starter_embed.templates import Pair


@dataclass(frozen=True)
class Score:
    """``accuracy``: how often the partner is the nearest of all texts. The cosines are means.

    ``pairs_correlation`` and ``free_correlation`` are Spearman's, between the student's and the teacher's cosines of
    all pairs of texts: those written by hand, and held-out free text.
    """

    name: str
    dimensions: int
    accuracy: float
    partner_cosine: float
    stranger_cosine: float
    pairs_correlation: float
    free_correlation: float


@dataclass(frozen=True)
class Exam:
    """``free`` texts are as many as the correlation is taken over; vectors are the teacher's."""

    pairs: list[Pair]
    free: list[str]
    taught_pairs: Tensor
    taught_free: Tensor

    def pair_texts(self) -> list[str]:
        return [text for pair in self.pairs for text in pair]


def score(name: str, exam: Exam, pair_vectors: Tensor, free_vectors: Tensor, *, dimensions: int) -> Score:
    """Vectors are those of ``exam``'s texts, in order; they are cut to ``dimensions`` and scaled."""
    pairs = _similarities(pair_vectors, dimensions)
    partner = torch.arange(len(pairs)) ^ 1
    partner_cosines = pairs[torch.arange(len(pairs)), partner]
    others = pairs.clone().fill_diagonal_(-2.0)
    num_strangers = len(pairs) * (len(pairs) - 2)
    stranger_sum = pairs.sum() - pairs.diagonal().sum() - partner_cosines.sum()
    return Score(
        name=name,
        dimensions=dimensions,
        accuracy=(others.argmax(1) == partner).float().mean().item(),
        partner_cosine=partner_cosines.mean().item(),
        stranger_cosine=(stranger_sum / num_strangers).item(),
        pairs_correlation=_correlation(pairs, exam.taught_pairs @ exam.taught_pairs.T),
        free_correlation=_correlation(
            _similarities(free_vectors, dimensions), exam.taught_free @ exam.taught_free.T
        ),
    )


def _similarities(vectors: Tensor, dimensions: int) -> Tensor:
    cut = normalize(vectors[:, :dimensions], dim=1)
    return cut @ cut.T


def _correlation(first: Tensor, second: Tensor) -> float:
    """Over each pair once."""
    rows, columns = torch.triu_indices(*first.shape, offset=1)
    return float(spearmanr(first[rows, columns].numpy(), second[rows, columns].numpy()).statistic)
