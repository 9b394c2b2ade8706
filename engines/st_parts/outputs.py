"""What becomes of a batch's rows: vectors, shortened where that is asked for, or scores. Runs on the compute thread."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy
import torch

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.batcher import Compute, Job
from engines.st_parts.network import Network
from engines.st_parts.pieces import Piece

Matrix = numpy.ndarray[tuple[int, int], numpy.dtype[numpy.float32]]

_Answer = TypeVar("_Answer")


def vectors(network: Network) -> Compute[Piece, Matrix]:
    """For each piece `(texts, dimensions)`: of unit length where the model's are, and always if shortened."""

    def finish(part: torch.Tensor, job: Job[Piece, Matrix]) -> Matrix:
        return _shortened(part, job.work.dimensions).numpy()

    def compute(jobs: list[Job[Piece, Matrix]]) -> Sequence[Matrix | EngineError]:
        return _answers(network, jobs, "sentence_embedding", finish)

    return compute


def scores(network: Network) -> Compute[Piece, list[float]]:
    """For each piece one number per pair, after the model's own activation: 0 to 1 for most models."""

    def finish(part: torch.Tensor, job: Job[Piece, list[float]]) -> list[float]:
        found: list[float] = network.model.activation_fn(part).reshape(-1).tolist()
        return found

    def compute(jobs: list[Job[Piece, list[float]]]) -> Sequence[list[float] | EngineError]:
        return _answers(network, jobs, "scores", finish)

    return compute


def _answers(
    network: Network,
    jobs: Sequence[Job[Piece, _Answer]],
    output: str,
    finish: Callable[[torch.Tensor, Job[Piece, _Answer]], _Answer],
) -> list[_Answer | EngineError]:
    """All texts computed at once; a text whose numbers overflow fails its own piece, not its neighbours'."""
    rows = network.forward([text for job in jobs for text in job.work.texts], output)
    parts = rows.split([job.work.shape.num_texts for job in jobs])
    return [
        finish(part, job) if torch.isfinite(part).all() else _not_finite()
        for part, job in zip(parts, jobs, strict=True)
    ]


def _not_finite() -> EngineError:
    message = "the model computed numbers that are not finite; another dtype may help"
    return EngineError(ErrorCode.BACKEND_ERROR, message)


def _shortened(rows: torch.Tensor, dimensions: int | None) -> torch.Tensor:
    if dimensions is None or dimensions == rows.shape[1]:
        return rows
    return torch.nn.functional.normalize(rows[:, :dimensions], dim=1)
