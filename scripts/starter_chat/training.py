"""Training of the starter chat model: batches by length, Muon for the matrices, checkpoints on the way.

It knows nothing of skills: dialogues come from ``dialogues``, text and tokens from ``tokenizer``.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from starter_chat.dialogues import draw_training_dialogue
from starter_chat.muon import Muon
from starter_chat.tokenizer import END_OF_TURN, MAX_TOKENS, PADDING, START_OF_TURN, render

IGNORED = -100
BATCH_TOKENS = 4096
DRAWN_AT_ONCE = 768
REPETITION_SHARE = 0.04
"""The opening share of training spent on repeated random tokens, from which heads learn to copy."""
PROMPT_SHARE = 0.2
"""Share of prompt tokens that carry loss in the first half of training."""
MATRIX_RATE = 0.02
VECTOR_RATE = 0.004
DEFAULT_TEMPERATURE = 0.2
"""What clients get that ask for none: so small a model is seldom right at 1.0."""


@dataclass(frozen=True)
class Budget:
    """Training ends after ``steps`` when given, else after ``minutes``."""

    minutes: float
    steps: int | None

    def progress(self, step: int, elapsed_s: float) -> float:
        return step / self.steps if self.steps is not None else elapsed_s / (60 * self.minutes)


@dataclass(frozen=True)
class Progress:
    """What training has cost so far."""

    steps: int
    tokens: int
    elapsed_s: float


def build_model(tokenizer: PreTrainedTokenizerFast, *, seed: int) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=tokenizer.convert_tokens_to_ids(PADDING),
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = config.pad_token_id
    model.generation_config.do_sample = True
    model.generation_config.temperature = DEFAULT_TEMPERATURE
    return model


def train(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    *,
    budget: Budget,
    seed: int,
    on_checkpoint: Callable[[Progress], None],
    checkpoint_minutes: float,
    is_compiled: bool,
) -> Progress:
    """Train ``model`` in place; ``on_checkpoint`` is called every ``checkpoint_minutes`` on the way."""
    backbone = torch.compile(model.model, dynamic=True) if is_compiled else model.model
    rng = Random(seed)
    optimizers = _optimizers(model)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    batches = _dialogue_batches(tokenizer, rng)
    started = last_checkpoint = time.monotonic()
    step = num_tokens = 0
    mean_loss = math.nan
    model.train()
    while (done := budget.progress(step, time.monotonic() - started)) < 1:
        if done < REPETITION_SHARE:
            ids, labels = _repetitions(rng, len(tokenizer))
        else:
            ids, labels = next(batches)
            if done < 0.5:
                labels = _with_prompts(tokenizer, ids, labels)
        for optimizer, group_rates in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, group_rates, strict=True):
                group["lr"] = rate * _schedule(step, done)
        loss = _loss(backbone, model.lm_head, ids, labels)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        num_tokens += int((ids != model.config.pad_token_id).sum())
        mean_loss = loss.item() if math.isnan(mean_loss) else 0.98 * mean_loss + 0.02 * loss.item()
        now = time.monotonic()
        if step % 50 == 0 or step == 1:
            rate = num_tokens / (now - started)
            print(
                f"{now - started:6.0f} s  step {step}  loss {mean_loss:.4f}  {rate:.0f} tokens/s", flush=True
            )
        if now - last_checkpoint > 60 * checkpoint_minutes:
            last_checkpoint = now
            model.eval()
            on_checkpoint(Progress(step, num_tokens, now - started))
            model.train()
    model.eval()
    return Progress(step, num_tokens, time.monotonic() - started)


def _optimizers(model: Qwen3ForCausalLM) -> list[torch.optim.Optimizer]:
    inner = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and "embed" not in name
    ]
    chosen = {id(parameter) for parameter in inner}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return [
        Muon(inner, lr=MATRIX_RATE),
        torch.optim.AdamW(others, lr=VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _schedule(step: int, done: float) -> float:
    """Warm up for 40 steps, stay, fall to a hundredth over the last half."""
    return min(1.0, (step + 1) / 40) * min(1.0, max(0.01, 2 * (1 - done)))


def _loss(backbone: nn.Module, head: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Padding lies on the right, so the causal mask alone keeps it out of the answers."""
    hidden = backbone(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    counted = targets != IGNORED
    return cross_entropy(head(hidden[counted]), targets[counted])


def _repetitions(rng: Random, vocabulary_size: int) -> tuple[Tensor, Tensor]:
    """Random tokens said three to six times over; only what can be known carries loss."""
    period, times = rng.randint(4, 24), rng.randint(3, 6)
    rows = max(1, BATCH_TOKENS // (period * times))
    once = torch.randint(3, vocabulary_size, (rows, period))
    ids = once.repeat(1, times)
    labels = ids.clone()
    labels[:, :period] = IGNORED
    return ids, labels


def _dialogue_batches(tokenizer: PreTrainedTokenizerFast, rng: Random) -> Iterator[tuple[Tensor, Tensor]]:
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


def _with_prompts(tokenizer: PreTrainedTokenizerFast, ids: Tensor, labels: Tensor) -> Tensor:
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
