"""Training of the student: near the teacher's vectors, with the teacher's similarities, and pairs beside each other.

It knows nothing of where texts come from: they come as token ids, with the teacher's vectors.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, mse_loss, normalize
from transformers import BertModel

from starter_embed.student import DIMENSIONS, pool

BATCH_TOKENS = 3072
RATE = 1.5e-3
TEMPERATURE = 0.05
SIMILARITY_WEIGHT = 20.0
PAIR_WEIGHT = 0.1


@dataclass(frozen=True)
class Lesson:
    """Token ids of texts, the teacher's vectors `(len(ids), n)`, and which texts make up a group."""

    ids: list[list[int]]
    vectors: Tensor
    directions: Tensor
    groups: list[tuple[int, ...]]


@dataclass(frozen=True)
class Progress:
    """What training has cost so far."""

    steps: int
    tokens: int
    cpu_s: float


def train(
    model: BertModel,
    lesson: Lesson,
    *,
    num_steps: int,
    seed: int,
    on_checkpoint: Callable[[Progress], None],
    checkpoint_steps: int,
) -> Progress:
    """Train ``model`` in place for ``num_steps``."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate_factor(step, num_steps))
    batches = _batches(lesson, Random(seed))
    started = time.process_time()
    progress = Progress(0, 0, 0.0)
    model.train()
    while progress.steps < num_steps:
        groups = next(batches)
        members = [index for group in groups for index in group]
        ids, mask = pad([lesson.ids[index] for index in members], model.config.pad_token_id)
        loss = _loss(pool(model, ids, mask), lesson.vectors[members], lesson.directions, _partners(groups))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        elapsed_s = time.process_time() - started
        progress = Progress(progress.steps + 1, progress.tokens + int(mask.sum()), elapsed_s)
        report(progress, loss.item())
        if progress.steps % checkpoint_steps == 0 and progress.steps < num_steps:
            model.eval()
            on_checkpoint(progress)
            model.train()
    model.eval()
    return progress


def pad(ids: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, `(len(ids), longest)`."""
    longest = max(map(len, ids))
    padded = torch.tensor([[*row, *[padding] * (longest - len(row))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return padded, mask


def report(progress: Progress, loss: float) -> None:
    if progress.steps % 50 == 0 or progress.steps == 1:
        rate = progress.tokens / progress.cpu_s
        print(
            f"{progress.cpu_s:6.0f} CPU s  step {progress.steps}  loss {loss:.4f}  {rate:.0f} tokens/s",
            flush=True,
        )


def _rate_factor(step: int, num_steps: int) -> float:
    """Warm up for 100 steps, then fall in a straight line."""
    return min(1.0, (step + 1) / 100) * max(0.01, 1 - step / num_steps)


def _batches(lesson: Lesson, rng: Random) -> Iterator[list[tuple[int, ...]]]:
    """Groups of similar length together, BATCH_TOKENS at most with padding, over and over in new order."""
    longest = {group: max(len(lesson.ids[index]) for index in group) for group in lesson.groups}
    while True:
        ordered = sorted(lesson.groups, key=lambda group: longest[group] + rng.random() * 4)
        batches: list[list[tuple[int, ...]]] = [[]]
        for group in ordered:
            num_texts = sum(map(len, batches[-1])) + len(group)
            if batches[-1] and num_texts * longest[group] > BATCH_TOKENS:
                batches.append([])
            batches[-1].append(group)
        rng.shuffle(batches)
        yield from batches


def _partners(groups: list[tuple[int, ...]]) -> Tensor:
    """`(number of pairs, 2)`: where in a batch the two texts of each pair are."""
    pairs, place = [], 0
    for group in groups:
        if len(group) == 2:
            pairs.append((place, place + 1))
        place += len(group)
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)


def _loss(pooled: Tensor, taught: Tensor, directions: Tensor, partners: Tensor) -> Tensor:
    """The sum over all DIMENSIONS: for each, a vector is cut there and scaled to unit length."""
    similarities = taught @ taught.T
    projected = taught @ directions
    total = pooled.new_zeros(())
    for dimensions in DIMENSIONS:
        vectors = normalize(pooled[:, :dimensions], dim=1)
        distance = 1 - cosine_similarity(vectors, projected[:, :dimensions]).mean()
        total = total + distance + SIMILARITY_WEIGHT * mse_loss(vectors @ vectors.T, similarities)
        if len(partners):
            total = total + PAIR_WEIGHT * _pair_loss(vectors, partners)
    return total / len(DIMENSIONS)


def _pair_loss(vectors: Tensor, partners: Tensor) -> Tensor:
    """Among all texts of the batch, the second of a pair should be the nearest to the first, and vice versa."""
    anchors, sought = partners.flatten(), partners.flip(1).flatten()
    logits = vectors[anchors] @ vectors.T / TEMPERATURE
    itself = torch.nn.functional.one_hot(anchors, len(vectors)).bool()
    return cross_entropy(logits.masked_fill(itself, float("-inf")), sought)
