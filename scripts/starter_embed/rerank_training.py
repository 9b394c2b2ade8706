"""Training of the reranker: each passage's own score, and the right passage before the wrong ones.

It knows nothing of where texts come from: they come as token ids.
"""

import time
from collections.abc import Callable, Iterator
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import BertForSequenceClassification

from starter_embed.rankings import Scored, draw_scored
from starter_embed.training import Progress, pad, report

PART_ROWS = 32
RATE = 5e-4

Row = tuple[list[int], list[int]]
"""The tokens of a query and those of a passage."""


def train_reranker(
    model: BertForSequenceClassification,
    ids: list[list[int]],
    pairs: list[tuple[int, int]],
    *,
    vectors: Tensor,
    num_steps: int,
    seed: int,
    on_checkpoint: Callable[[Progress], None],
    checkpoint_steps: int,
) -> Progress:
    """Train ``model`` in place. ``ids`` are of whole texts, special tokens included; ``pairs`` are their positions."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=RATE, total_steps=num_steps, pct_start=0.1
    )
    batches = _batches(Random(seed), pairs, vectors)
    started = time.process_time()
    progress = Progress(0, 0, 0.0)
    model.train()
    while progress.steps < num_steps:
        scored = next(batches)
        loss, num_tokens = _loss(model, ids, scored)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        elapsed_s = time.process_time() - started
        progress = Progress(progress.steps + 1, progress.tokens + num_tokens, elapsed_s)
        report(progress, loss.item())
        if progress.steps % checkpoint_steps == 0 and progress.steps < num_steps:
            model.eval()
            on_checkpoint(progress)
            model.train()
    model.eval()
    return progress


def _batches(rng: Random, pairs: list[tuple[int, int]], vectors: Tensor) -> Iterator[list[Scored]]:
    while True:
        yield from draw_scored(rng, pairs, vectors)


def _loss(
    model: BertForSequenceClassification, ids: list[list[int]], scored: list[Scored]
) -> tuple[Tensor, int]:
    """The loss of a batch, and of how many tokens."""
    rows = [(ids[one.query], ids[passage][1:]) for one in scored for passage in one.passages]
    logits = torch.cat([_logits(model, part) for part in _of_like_length(rows)])[_back_in_order(rows)]
    targets = torch.tensor([target for one in scored for target in one.targets])
    right_first = cross_entropy(logits.reshape(len(scored), -1), torch.zeros(len(scored), dtype=torch.long))
    return binary_cross_entropy_with_logits(logits, targets) + 0.5 * right_first, sum(
        len(query) + len(passage) for query, passage in rows
    )


def _logits(model: BertForSequenceClassification, rows: list[Row]) -> Tensor:
    tokens, mask = pad([query + passage for query, passage in rows], model.config.pad_token_id)
    types, _ = pad([[0] * len(query) + [1] * len(passage) for query, passage in rows], 0)
    return model(input_ids=tokens, attention_mask=mask, token_type_ids=types).logits[:, 0]


def _of_like_length(rows: list[Row]) -> list[list[Row]]:
    """Rows in the order of their length, in parts that need little padding."""
    ordered = [rows[index] for index in _order(rows)]
    return [ordered[start : start + PART_ROWS] for start in range(0, len(ordered), PART_ROWS)]


def _back_in_order(rows: list[Row]) -> Tensor:
    return torch.tensor(_order(rows)).argsort()


def _order(rows: list[Row]) -> list[int]:
    return sorted(range(len(rows)), key=lambda index: sum(map(len, rows[index])))
