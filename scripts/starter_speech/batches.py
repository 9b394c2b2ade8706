"""Batches of examples of like length, from pools that are made afresh once they have been used."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from starter_speech.examples import OTHER_SOUND, Example


@dataclass(frozen=True)
class Batch:
    """Padded on the right with zeros, sounds with OTHER_SOUND."""

    ids: Tensor
    num_ids: Tensor
    durations: Tensor
    sounds: Tensor
    mels: Tensor
    num_frames: Tensor
    pitch: Tensor


def draw_batches(
    examples: Iterator[Example], rng: Random, *, batch_size: int, pool_size: int, num_passes: int
) -> Iterator[Batch]:
    """Endless when ``examples`` is; each example is used ``num_passes`` times."""
    while pool := sorted(islice(examples, pool_size), key=lambda example: len(example.mel)):
        for _ in range(num_passes):
            shift = rng.randrange(batch_size)  # so that neighbours change from pass to pass
            parts = [
                pool[max(0, first) : first + batch_size] for first in range(-shift, len(pool), batch_size)
            ]
            rng.shuffle(parts)
            yield from (collate(part) for part in parts if part)


def collate(examples: list[Example]) -> Batch:
    return Batch(
        ids=_padded([np.array(example.ids) for example in examples]),
        num_ids=torch.tensor([len(example.ids) for example in examples]),
        durations=_padded([np.array(example.durations) for example in examples]),
        sounds=_padded([np.array(example.sounds) for example in examples], OTHER_SOUND),
        mels=_padded([example.mel for example in examples]),
        num_frames=torch.tensor([len(example.mel) for example in examples]),
        pitch=_padded([example.pitch for example in examples])[:, None],
    )


def _padded(rows: list[NDArray[np.generic]], value: float = 0.0) -> Tensor:
    return pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True, padding_value=value)
