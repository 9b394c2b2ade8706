"""Training of the starter chat model: Muon for the matrices, AdamW for the rest, checkpoints on the way.

It knows nothing of dialogues and text: ids and labels come from ``batches``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from starter_chat.batches import IGNORED, dialogue_batches, draw_repetitions, with_prompts
from starter_chat.muon import Muon
from starter_chat.tokenizer import END_OF_TURN, MAX_TOKENS, PADDING

REPETITION_SHARE = 0.04
"""The opening share of training spent on repeated random tokens, from which heads learn to copy."""
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


def take_over(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Start ``model`` from the weights in ``folder``, whose tokenizer may know other words."""
    earlier = Qwen3ForCausalLM.from_pretrained(folder).state_dict()
    known = PreTrainedTokenizerFast.from_pretrained(folder).get_vocab()
    weights = model.state_dict()
    for name, weight in weights.items():
        if "embed_tokens" not in name and "lm_head" not in name:
            weight.copy_(earlier[name])
    embeddings = weights["model.embed_tokens.weight"]
    for token, index in tokenizer.get_vocab().items():
        if token in known:
            embeddings[index] = earlier["model.embed_tokens.weight"][known[token]]


def train(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    *,
    budget: Budget,
    seed: int,
    on_checkpoint: Callable[[Progress], None],
    checkpoint_minutes: float,
    is_compiled: bool,
    is_fresh: bool,
) -> Progress:
    """Train ``model`` in place; ``on_checkpoint`` is called every ``checkpoint_minutes`` on the way.

    Only a fresh model goes through the opening phases: repetitions, then loss on prompts too.
    """
    backbone = torch.compile(model.model, dynamic=True) if is_compiled else model.model
    draw = _batch_source(tokenizer, Random(seed), is_fresh=is_fresh)
    optimizers = _optimizers(model)
    started = last_checkpoint = time.monotonic()
    progress = Progress(0, 0, 0.0)
    model.train()
    while (done := budget.progress(progress.steps, progress.elapsed_s)) < 1:
        ids, labels = draw(done)
        _set_rates(optimizers, _schedule(progress.steps, done))
        loss = _loss(backbone, model.lm_head, ids, labels)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        num_tokens = int((ids != model.config.pad_token_id).sum())
        now = time.monotonic()
        progress = Progress(progress.steps + 1, progress.tokens + num_tokens, now - started)
        _report(progress, loss.item())
        if now - last_checkpoint > 60 * checkpoint_minutes:
            last_checkpoint = now
            model.eval()
            on_checkpoint(progress)
            model.train()
    model.eval()
    return progress


def _batch_source(
    tokenizer: PreTrainedTokenizerFast, rng: Random, *, is_fresh: bool
) -> Callable[[float], tuple[Tensor, Tensor]]:
    """A function from the share of training done to the next batch."""
    dialogues = dialogue_batches(tokenizer, rng)

    def draw(done: float) -> tuple[Tensor, Tensor]:
        if is_fresh and done < REPETITION_SHARE:
            return draw_repetitions(rng, len(tokenizer))
        ids, labels = next(dialogues)
        return ids, with_prompts(tokenizer, ids, labels) if is_fresh and done < 0.5 else labels

    return draw


def _report(progress: Progress, loss: float) -> None:
    if progress.steps % 50 == 0 or progress.steps == 1:
        rate = progress.tokens / progress.elapsed_s
        print(
            f"{progress.elapsed_s:6.0f} s  step {progress.steps}  loss {loss:.3f}  {rate:.0f} tokens/s",
            flush=True,
        )


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


def _set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    for optimizer, rate in zip(optimizers, (MATRIX_RATE, VECTOR_RATE), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor


def _schedule(step: int, done: float) -> float:
    """Warm up for 40 steps, stay, fall to a hundredth over the last half."""
    return min(1.0, (step + 1) / 40) * min(1.0, max(0.01, 2 * (1 - done)))


def _loss(backbone: nn.Module, head: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Padding lies on the right, so the causal mask alone keeps it out of the answers."""
    hidden = backbone(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    counted = targets != IGNORED
    return cross_entropy(head(hidden[counted]), targets[counted])
