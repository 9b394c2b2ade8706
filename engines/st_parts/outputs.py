"""What becomes of a batch's rows: vectors, shortened where that is asked for, or scores. Runs on the compute thread."""

from collections.abc import Sequence
from typing import Any

import numpy
import torch

from engines.runtime.batcher import Compute, Job
from engines.st_parts.network import Network
from engines.st_parts.pieces import Piece

Matrix = numpy.ndarray[tuple[int, int], numpy.dtype[numpy.float32]]


def vectors(network: Network) -> Compute[Piece, Matrix]:
    """For each piece `(texts, dimensions)`: of unit length where the model's are, and always if shortened."""

    def compute(jobs: list[Job[Piece, Matrix]]) -> Sequence[Matrix]:
        parts = _parts(network, jobs, "sentence_embedding")
        return [_shortened(part, job.work.dimensions).numpy() for part, job in zip(parts, jobs, strict=True)]

    return compute


def scores(network: Network) -> Compute[Piece, list[float]]:
    """For each piece one number per pair, after the model's own activation: 0 to 1 for most models."""

    def compute(jobs: list[Job[Piece, list[float]]]) -> Sequence[list[float]]:
        parts = _parts(network, jobs, "scores")
        return [network.model.activation_fn(part).reshape(-1).tolist() for part in parts]

    return compute


def _parts(network: Network, jobs: Sequence[Job[Piece, Any]], output: str) -> tuple[torch.Tensor, ...]:
    """The rows of each job's texts, all computed at once."""
    rows = network.forward([text for job in jobs for text in job.work.texts], output)
    return rows.split([job.work.shape.num_texts for job in jobs])


def _shortened(rows: torch.Tensor, dimensions: int | None) -> torch.Tensor:
    if dimensions is None or dimensions == rows.shape[1]:
        return rows
    return torch.nn.functional.normalize(rows[:, :dimensions], dim=1)
