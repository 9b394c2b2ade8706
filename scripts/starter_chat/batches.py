"""Batches for the training of the starter chat model: token ids, and labels that say what carries loss."""

from collections.abc import Iterator
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from starter_chat.dialogues import draw_training_dialogue
from starter_chat.tokenizer import END_OF_TURN, PADDING, START_OF_TURN, render

IGNORED = -100
BATCH_TOKENS = 4096
DRAWN_AT_ONCE = 768
PROMPT_SHARE = 0.2
"""Share of prompt tokens that carry loss where prompts count at all."""


def draw_repetitions(rng: Random, vocabulary_size: int) -> tuple[Tensor, Tensor]:
    """Random tokens said three to six times over; only what can be known carries loss."""
    period, times = rng.randint(4, 24), rng.randint(3, 6)
    rows = max(1, BATCH_TOKENS // (period * times))
    once = torch.randint(3, vocabulary_size, (rows, period))
    ids = once.repeat(1, times)
    labels = ids.clone()
    labels[:, :period] = IGNORED
    return ids, labels


def dialogue_batches(tokenizer: PreTrainedTokenizerFast, rng: Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of up to ``BATCH_TOKENS`` padded tokens, dialogues of like length together."""
    while True:
        encoded = [
            tokenizer.encode(render(tokenizer, draw_training_dialogue(rng))) for _ in range(DRAWN_AT_ONCE)
        ]
        encoded.sort(key=len)
        batches: list[list[list[int]]] = [[]]
        for ids in encoded:
            if len(ids) * (len(batches[-1]) + 1) > BATCH_TOKENS:
                batches.append([])
            batches[-1].append(ids)
        rng.shuffle(batches)
        yield from (_pad(tokenizer, batch) for batch in batches)


def with_prompts(tokenizer: PreTrainedTokenizerFast, ids: Tensor, labels: Tensor) -> Tensor:
    """Labels that count some prompt tokens too, but never padding nor the template's ``<think>``."""
    unsaid = torch.tensor(tokenizer.convert_tokens_to_ids([PADDING, "<think>"]))
    chosen = (torch.rand(labels.shape) < PROMPT_SHARE) & ~torch.isin(ids, unsaid)
    return torch.where(chosen, ids, labels)


def _pad(tokenizer: PreTrainedTokenizerFast, batch: list[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(len(ids) for ids in batch)
    padding = int(tokenizer.pad_token_id)
    rows = [ids + [padding] * (width - len(ids)) for ids in batch]
    labels = [mark_answers(tokenizer, ids) for ids in batch]
    return torch.tensor(rows), torch.tensor([row + [IGNORED] * (width - len(row)) for row in labels])


def mark_answers(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> list[int]:
    """Labels for ``ids``: what the assistant says up to its end of turn, without an opening ``<think>`` line.

    The template itself writes that line when thinking is asked for; the model must never learn to open one.
    """
    start, assistant, end, think = tokenizer.convert_tokens_to_ids(
        [START_OF_TURN, "assistant", END_OF_TURN, "<think>"]
    )
    labels = [IGNORED] * len(ids)
    position = 0
    while position < len(ids):
        if ids[position] == start and ids[position + 1] == assistant:
            position += 5 if ids[position + 3] == think else 3
            while ids[position] != end:
                labels[position] = ids[position]
                position += 1
            labels[position] = end
        position += 1
    return labels
