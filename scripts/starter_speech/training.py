"""Training of the starter speech model: spectrogram, durations and pitch, and beside them what letters sound like.

It knows nothing of text and espeak-ng: batches come from outside.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from TTS.tts.models.forward_tts import ForwardTTS

from starter_speech.batches import Batch
from starter_speech.examples import OTHER_SOUND

HIGHEST_RATE = 2e-3
WARM_UP_STEPS = 200
DURATION_WEIGHT, PITCH_WEIGHT, SOUND_WEIGHT = 0.5, 0.5, 0.1


@dataclass(frozen=True)
class Progress:
    """What training has cost so far."""

    steps: int
    sentences: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Losses:
    mel: Tensor
    duration: Tensor
    pitch: Tensor
    sound: Tensor

    def total(self) -> Tensor:
        return (
            self.mel + DURATION_WEIGHT * self.duration + PITCH_WEIGHT * self.pitch + SOUND_WEIGHT * self.sound
        )


class SoundHead(nn.Module):
    """Names the sound of each letter from what the encoder makes of it. Thrown away after training."""

    def __init__(self, model: ForwardTTS, num_sounds: int) -> None:
        super().__init__()
        self.project = nn.Linear(model.args.hidden_channels, num_sounds)
        self._encoded = torch.empty(0)
        model.encoder.register_forward_hook(self._keep)

    def forward(self) -> Tensor:
        """`(n, ids, sounds)` scores for what the model has just encoded."""
        return self.project(self._encoded.transpose(1, 2))

    def _keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self._encoded = output


def train(
    model: ForwardTTS,
    batches: Iterator[Batch],
    *,
    num_steps: int,
    num_sounds: int,
    checkpoint_steps: int,
    on_checkpoint: Callable[[Progress], None],
) -> Progress:
    """Train ``model`` in place; ``on_checkpoint`` is called every ``checkpoint_steps`` on the way."""
    head = SoundHead(model, num_sounds)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=HIGHEST_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _schedule(step, num_steps))
    cpu_started, wall_started = time.process_time(), time.monotonic()
    progress = Progress(0, 0, 0.0, 0.0)
    model.train()
    while progress.steps < num_steps:
        batch = next(batches)
        losses = measure(model, head, batch)
        optimizer.zero_grad(set_to_none=True)
        losses.total().backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        progress = Progress(
            steps=progress.steps + 1,
            sentences=progress.sentences + len(batch.ids),
            cpu_s=time.process_time() - cpu_started,
            wall_s=time.monotonic() - wall_started,
        )
        _report(progress, losses)
        if progress.steps % checkpoint_steps == 0 and progress.steps < num_steps:
            model.eval()
            on_checkpoint(progress)
            model.train()
    model.eval()
    return progress


def measure(model: ForwardTTS, head: SoundHead, batch: Batch) -> Losses:
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(
            batch.ids, batch.num_ids, batch.num_frames, y=batch.mels, dr=batch.durations, pitch=batch.pitch
        )
        sounds = head()
    frames = outputs["y_mask"].transpose(1, 2)
    letters = outputs["x_mask"][:, 0]
    mel = outputs["model_outputs"].float() - batch.mels
    duration = outputs["durations_log"].float() - torch.log1p(batch.durations.float())
    pitch = (outputs["pitch_avg"] - outputs["pitch_avg_gt"]).float()[:, 0]
    return Losses(
        mel=(mel.abs() * frames).sum() / frames.sum() / mel.shape[2],
        duration=(duration.square() * letters).sum() / letters.sum(),
        pitch=(pitch.square() * letters).sum() / letters.sum(),
        sound=cross_entropy(sounds.float().transpose(1, 2), batch.sounds, ignore_index=OTHER_SOUND),
    )


def _schedule(step: int, num_steps: int) -> float:
    """Warm up, stay, fall to nothing over the last six tenths."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * min(1.0, max(0.0, (1 - step / num_steps) / 0.6))


def _report(progress: Progress, losses: Losses) -> None:
    if progress.steps % 50 == 0 or progress.steps == 1:
        print(
            f"step {progress.steps}  {progress.cpu_s:.0f} s CPU, {progress.wall_s:.0f} s  mel {losses.mel:.3f}  "
            f"duration {losses.duration:.4f}  pitch {losses.pitch:.4f}  sound {losses.sound:.3f}",
            flush=True,
        )
