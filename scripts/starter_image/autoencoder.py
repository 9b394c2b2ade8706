"""Training of the autoencoder: first on quarters of pictures, which are four times cheaper, then on whole ones."""

from collections.abc import Iterator
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from starter_image.drawing import SIDE, draw_picture
from starter_image.schedule import set_rate
from starter_image.world import pictures

BATCH = 16
CROPPED_SHARE = 0.85
"""The opening share of training on crops."""
RATE = 3e-3
LATENT_NOISE = 0.15
"""Noise on the latents in training, in standard deviations, so that the UNet need not hit them exactly."""


def train_autoencoder(autoencoder: AutoencoderKL, *, steps: int, rng: Random) -> None:
    """Train in place; the channels of the latents come out about independent, with mean 0 and variance 1."""
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    batches = drawn_batches(rng)
    autoencoder.train()
    for step in range(steps):
        pixels = next(batches)
        if step < CROPPED_SHARE * steps:
            pixels = crop(pixels, rng)
        loss, error = _losses(autoencoder, pixels)
        set_rate(optimizer, RATE, step=step, steps=steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"autoencoder step {step}  error {error.item():.4f}", flush=True)
    autoencoder.eval()


def drawn_batches(rng: Random) -> Iterator[Tensor]:
    """Drawings from the training part, ``BATCH`` at a time."""
    known = pictures(held_out=False)
    while True:
        yield to_pixels([draw_picture(rng.choice(known), rng) for _ in range(BATCH)])


def to_pixels(images: list[Image.Image]) -> Tensor:
    """``(n, 3, height, width) float32`` in -1..1."""
    stacked = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return stacked.permute(0, 3, 1, 2).float() / 127.5 - 1


def crop(pixels: Tensor, rng: Random) -> Tensor:
    """A quarter of every picture in the batch, from the same place in each."""
    side = SIDE // 2
    top, left = rng.randint(0, side), rng.randint(0, side)
    return pixels[:, :, top : top + side, left : left + side]


def _losses(autoencoder: AutoencoderKL, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss to go down on, and the error of the decoded pictures alone.

    The posterior's mean plus fixed noise is decoded: a sample from it is too noisy in the beginning.
    """
    posterior = autoencoder.encode(pixels).latent_dist
    latents = posterior.mean
    decoded = autoencoder.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
    error = l1_loss(decoded, pixels) + mse_loss(decoded, pixels)
    variance = (posterior.logvar - 2 * np.log(LATENT_NOISE)).square().mean()
    return error + 0.3 * _distance_from_white(latents) + 1e-4 * variance, error


def _distance_from_white(latents: Tensor) -> Tensor:
    """How far the channels are from mean 0, variance 1 and independence.

    Without the last of these colour takes nearly all the variance, and shapes drown in the UNet's noise.
    """
    values = latents.movedim(1, 0).flatten(1)
    covariance = torch.cov(values)
    return values.mean(1).square().mean() + (covariance - torch.eye(len(values))).square().mean()
