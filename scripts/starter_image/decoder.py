"""Further training of the autoencoder's decoder alone, for clean edges.

The encoder stays as it is, and so does what the UNet has learnt.
"""

from random import Random

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import max_pool2d

from starter_image.autoencoder import LATENT_NOISE, crop, drawn_batches
from starter_image.schedule import set_rate

RATE = 1.5e-3
CROPPED_SHARE = 0.75
EDGE_WEIGHT = 4.0
"""How much more a pixel near an edge counts: edges are few, and they make the shape."""
EDGE_REACH = 5
LEAST_EDGE = 0.1


def train_decoder(autoencoder: AutoencoderKL, *, steps: int, rng: Random) -> None:
    parameters = [*autoencoder.post_quant_conv.parameters(), *autoencoder.decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    batches = drawn_batches(rng)
    autoencoder.train()
    for step in range(steps):
        pixels = next(batches)
        if step < CROPPED_SHARE * steps:
            pixels = crop(pixels, rng)
        with torch.no_grad():
            latents = autoencoder.encode(pixels).latent_dist.mean
        decoded = autoencoder.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
        difference = decoded - pixels
        loss = ((difference.abs() + difference.square()) * _weights(pixels)).mean()
        set_rate(optimizer, RATE, step=step, steps=steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"decoder step {step}  error {loss.item():.4f}", flush=True)
    autoencoder.eval()


def _weights(pixels: Tensor) -> Tensor:
    """What every pixel counts: ``(n, 1, height, width)``."""
    reach = {"kernel_size": EDGE_REACH, "stride": 1, "padding": EDGE_REACH // 2}
    contrast = max_pool2d(pixels, **reach) + max_pool2d(-pixels, **reach)
    return 1 + EDGE_WEIGHT * (contrast.amax(1, keepdim=True) > LEAST_EDGE)
