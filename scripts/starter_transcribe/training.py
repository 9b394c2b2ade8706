"""Training of the transcriber: single sentences first, then several, at last only the whole windows it will meet.

Muon for the matrices, AdamW for the rest. It knows nothing of folders.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from starter_chat.muon import Muon
from tokenizers import Tokenizer

from starter_transcribe.batches import WHOLE_FRAMES, Batch, BatchMaker
from starter_transcribe.clips import Clips
from starter_transcribe.model import Transcriber
from starter_transcribe.windows import Mixer, Window

MATRIX_RATE = 0.02
VECTOR_RATE = 0.003
SHORT_UNTIL = 0.4
MIXED_UNTIL = 0.75
"""Shares of the steps; whole windows fill the rest."""
NOTHING_SHARE = 0.07
WINDOWS_PER_STEP = 16
WHOLE_WINDOWS_PER_STEP = 4
POOLED_STEPS = 8


@dataclass(frozen=True)
class Progress:
    """What training has cost so far."""

    steps: int
    sentences: int
    elapsed_s: float
    cpu_s: float


def train(
    model: Transcriber,
    tokenizer: Tokenizer,
    clips: Clips,
    *,
    steps: int,
    seed: int,
    is_fresh: bool,
    on_checkpoint: Callable[[Progress], None],
    checkpoint_minutes: float,
) -> Progress:
    """Train ``model`` in place; ``on_checkpoint`` is called every ``checkpoint_minutes`` of CPU time.

    A model that is not fresh goes on with whole windows alone, at the rates that fit.
    """
    opening = 0.0 if is_fresh else MIXED_UNTIL
    optimizers = _optimizers(model)
    batches = _Batches(tokenizer, clips, Random(seed))
    started_s, cpu_started_s = time.monotonic(), time.process_time()
    progress = Progress(0, 0, 0.0, 0.0)
    next_checkpoint_s = 60 * checkpoint_minutes
    losses: list[tuple[float, float]] = []
    model.train()
    while progress.steps < steps:
        done = opening + (1 - opening) * progress.steps / steps
        batch = batches.draw(done)
        _set_rates(optimizers, min(1.0, (progress.steps + 1) / 60) * _rate(done))
        transcript, spelling = model.losses(batch)
        model.zero_grad(set_to_none=True)
        (transcript + _spelling_weight(done) * spelling).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        losses.append((transcript.item(), spelling.item()))
        progress = Progress(
            progress.steps + 1,
            progress.sentences + batch.num_spoken,
            time.monotonic() - started_s,
            time.process_time() - cpu_started_s,
        )
        _report(progress, losses)
        if progress.cpu_s > next_checkpoint_s:
            next_checkpoint_s += 60 * checkpoint_minutes
            model.eval()
            on_checkpoint(progress)
            model.train()
    model.eval()
    return progress


class _Batches:
    """Windows are drawn for some steps at once and sorted by length, so that little of a batch is padding."""

    def __init__(self, tokenizer: Tokenizer, clips: Clips, rng: Random) -> None:
        self._rng = rng
        self._mixer = Mixer(clips, rng)
        self._maker = BatchMaker(tokenizer, self._mixer, rng)
        self._pool: list[list[Window]] = []

    def draw(self, done: float) -> Batch:
        if done >= MIXED_UNTIL:
            windows = [self._whole_window() for _ in range(WHOLE_WINDOWS_PER_STEP)]
            return self._maker.make(
                windows, with_previous=True, num_frames=WHOLE_FRAMES, masks=self._rng.random() < 0.5
            )
        is_mixed = done >= SHORT_UNTIL
        if not self._pool:
            self._pool = self._sorted_windows(is_mixed=is_mixed)
        windows = self._pool.pop(0)
        return self._maker.make(windows, with_previous=is_mixed, num_frames=None, masks=True)

    def _sorted_windows(self, *, is_mixed: bool) -> list[list[Window]]:
        draw = self._mixed_window if is_mixed else lambda: self._mixer.draw_speech(1)
        size = WINDOWS_PER_STEP
        drawn = sorted((draw() for _ in range(POOLED_STEPS * size)), key=lambda window: len(window.samples))
        batches = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        self._rng.shuffle(batches)
        return batches

    def _mixed_window(self) -> Window:
        if self._rng.random() < NOTHING_SHARE:
            return self._mixer.draw_nothing(longest_s=6)
        return self._mixer.draw_speech(self._rng.choice((1, 1, 2, 3)))

    def _whole_window(self) -> Window:
        kind = self._rng.random()
        if kind < NOTHING_SHARE:
            return self._mixer.draw_nothing(longest_s=30)
        if kind < 0.25:
            return self._mixer.draw_full_speech()
        if kind < 0.45:
            return self._mixer.draw_speech(self._rng.randint(4, 9))
        return self._mixer.draw_speech(self._rng.choice((1, 1, 2, 3)))


def _optimizers(model: Transcriber) -> list[torch.optim.Optimizer]:
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [
        parameter
        for name, parameter in trained.items()
        if parameter.ndim == 2 and not any(part in name for part in ("embed", "proj_out", "speller"))
    ]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in trained.values() if id(parameter) not in chosen]
    return [
        Muon(matrices, lr=MATRIX_RATE),
        torch.optim.AdamW(others, lr=VECTOR_RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def _set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    for optimizer, rate in zip(optimizers, (MATRIX_RATE, VECTOR_RATE), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor


def _rate(done: float) -> float:
    """Stays for two fifths, then falls to a fiftieth."""
    return min(1.0, max(0.02, (1 - done) / 0.6))


def _spelling_weight(done: float) -> float:
    return max(0.1, 0.5 - 0.6 * done)


def _report(progress: Progress, losses: list[tuple[float, float]]) -> None:
    if progress.steps % 25 == 0 or progress.steps == 1:
        transcript, spelling = np.mean(losses[-25:], axis=0)
        print(
            f"{progress.elapsed_s:6.0f} s  {progress.cpu_s:6.0f} cpu-s  step {progress.steps}"
            f"  transcript {transcript:.3f}  spelling {spelling:.3f}  {progress.sentences} sentences",
            flush=True,
        )
