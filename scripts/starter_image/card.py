"""The model card: what the starter image model is, how it was made and what was measured."""

from dataclasses import dataclass

from diffusers import StableDiffusionPipeline
from torch import nn

from starter_image.diffusion import BATCH
from starter_image.evaluate import GUIDANCE, STEPS, Score
from starter_image.tokenizer import MAX_TOKENS
from starter_image.world import Picture, pictures

TEXT = """\
---
license: apache-2.0
language: en
pipeline_tag: text-to-image
library_name: diffusers
---
# starter/image

An image model of {parameters:.1f} million parameters that Hearth trains itself, so that everything can be
tried on a machine without a GPU. It is small on purpose: for first steps and tests, not for real work.

It paints one plain shape on one plain background, 64 by 64 pixels: a circle, square, triangle or cross,
small or big, in red, green, blue, yellow, white, black, orange or purple. "A small red circle on a blue
background" says everything; the order of words is free, "tiny", "large" and the like are understood. Without a
size it takes either, without a background white (black for a white shape). Anything else in a prompt
it does not know.

## Format
`StableDiffusionPipeline` of diffusers: `AutoencoderKL` (factor 8, {channels} channels), `CLIPTextModel` with a
`CLIPTokenizer` of its own, `UNet2DConditionModel`, `DDIMScheduler` (v-prediction, zero terminal SNR,
trailing timesteps); no safety checker. Prompts of up to {max_tokens} tokens, of which a known word is one and
any other word is spelled. Use {steps} steps and a guidance of {guidance}. Other sizes that are multiples of 8 run,
but training used 64 by 64 alone: much larger pictures show several shapes.

## Measured
{asked} pictures of the {held_out} combinations (of {combinations}) of background, colour, shape and size that training
keeps out, {steps} steps, guidance {guidance}, prompts in all phrasings of the training; read back by a program
(`scripts/starter_image/reading.py`) that reads drawings without error. Share of pictures that show what
was asked for:

| prompts | {attributes} | all |
| --- |{rules} --- |
{rows}

## Made by
`{command}`

Seed {seed}, {unet_steps} steps of {batch} pictures for the UNet after the text encoder and the autoencoder;
{minutes:.0f} minutes, {cpu_minutes:.0f} of them CPU time, on {machine}. All data is drawn by the script.
"""


@dataclass(frozen=True)
class Cost:
    """What training has taken so far."""

    unet_steps: int
    elapsed_s: float
    cpu_s: float


@dataclass(frozen=True)
class Origin:
    """How a model came about, for its card."""

    command: str
    seed: int
    machine: str
    cost: Cost


def write_card(pipeline: StableDiffusionPipeline, origin: Origin, scores: list[Score]) -> str:
    parts: tuple[nn.Module, ...] = (pipeline.vae, pipeline.text_encoder, pipeline.unet)
    num_held_out = len(pictures(held_out=True))
    return TEXT.format(
        parameters=sum(weight.numel() for part in parts for weight in part.parameters()) / 1e6,
        channels=pipeline.vae.config.latent_channels,
        max_tokens=MAX_TOKENS,
        steps=STEPS,
        guidance=GUIDANCE,
        asked=scores[0].num_asked,
        held_out=num_held_out,
        combinations=num_held_out + len(pictures(held_out=False)),
        attributes=" | ".join(Picture._fields),
        rules=" --- |" * len(Picture._fields),
        rows="\n".join(_row(score) for score in scores),
        command=origin.command,
        seed=origin.seed,
        unet_steps=origin.cost.unet_steps,
        batch=BATCH,
        minutes=origin.cost.elapsed_s / 60,
        cpu_minutes=origin.cost.cpu_s / 60,
        machine=origin.machine,
    )


def _row(score: Score) -> str:
    shares = [
        f"{score.num_right[attribute] / score.num_asked:.3f}" if attribute in score.num_right else ""
        for attribute in Picture._fields
    ]
    return f"| {score.prompts} | {' | '.join(shares)} | {score.num_all_right / score.num_asked:.3f} |"
