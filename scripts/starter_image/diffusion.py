"""Training of the UNet on cached latents: which velocity leads from noise to the picture of a prompt.

It trains neither the autoencoder nor the text encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn.functional import mse_loss

from starter_image.autoencoder import to_pixels
from starter_image.average import Average
from starter_image.drawing import draw_picture
from starter_image.schedule import set_rate
from starter_image.text_encoder import draw_prompt, tokenize
from starter_image.world import Picture, pictures

BATCH = 32
RATE = 1.5e-3
PROMPTLESS_SHARE = 0.1
"""Share of pictures without a prompt, which classifier-free guidance needs."""
DRAWN_AT_ONCE = 64


@dataclass(frozen=True)
class Drawings:
    """Pictures of the training part and their latents ``(n, channels, 8, 8)``."""

    shown: list[Picture]
    latents: Tensor


@torch.no_grad()
def encode_drawings(pipeline: StableDiffusionPipeline, *, num_drawings: int, rng: Random) -> Drawings:
    known = pictures(held_out=False)
    shown = [known[index % len(known)] for index in range(num_drawings)]
    latents = []
    for start in range(0, num_drawings, DRAWN_AT_ONCE):
        pixels = to_pixels([draw_picture(picture, rng) for picture in shown[start : start + DRAWN_AT_ONCE]])
        latents.append(pipeline.vae.encode(pixels).latent_dist.mean)
    return Drawings(shown, torch.cat(latents))


def train_unet(
    pipeline: StableDiffusionPipeline,
    drawings: Drawings,
    *,
    steps: int,
    rng: Random,
    on_checkpoint: Callable[[int], None],
    checkpoint_steps: int,
) -> None:
    """Train in place; what stays, and what ``on_checkpoint`` finds in ``pipeline``, is the average of the weights."""
    unet = pipeline.unet
    optimizer = torch.optim.AdamW(unet.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01)
    average = Average(unet)
    recent = 0.0
    for step in range(steps):
        unet.train()
        loss = _loss(pipeline, drawings, rng)
        set_rate(optimizer, RATE, step=step, steps=steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.update()
        recent += (loss.item() - recent) / min(100, step + 1)
        if (step + 1) % 100 == 0:
            print(f"unet step {step + 1}  loss {recent:.4f}", flush=True)
        if (step + 1) % checkpoint_steps == 0 and step + 1 < steps:
            unet.eval()
            with average.in_use():
                on_checkpoint(step + 1)
    average.keep()
    unet.eval()


def _loss(pipeline: StableDiffusionPipeline, drawings: Drawings, rng: Random) -> Tensor:
    chosen = [rng.randrange(len(drawings.shown)) for _ in range(BATCH)]
    latents = drawings.latents[chosen]
    states = _encode_prompts(pipeline, [drawings.shown[index] for index in chosen], rng)
    noise = torch.randn_like(latents)
    timesteps = _spread_timesteps(pipeline.scheduler.config.num_train_timesteps)
    noisy = pipeline.scheduler.add_noise(latents, noise, timesteps)
    velocity = pipeline.scheduler.get_velocity(latents, noise, timesteps)
    return mse_loss(pipeline.unet(noisy, timesteps, states).sample, velocity)


@torch.no_grad()
def _encode_prompts(pipeline: StableDiffusionPipeline, shown: list[Picture], rng: Random) -> Tensor:
    prompts = ["" if rng.random() < PROMPTLESS_SHARE else draw_prompt(picture, rng)[0] for picture in shown]
    return pipeline.text_encoder(tokenize(pipeline.tokenizer, prompts)).last_hidden_state


def _spread_timesteps(num_timesteps: int) -> Tensor:
    """One timestep from every ``BATCH``th part of the noise schedule: every step sees all degrees of noise."""
    places = (torch.arange(BATCH) + torch.rand(BATCH)) / BATCH
    return (places * num_timesteps).long()
