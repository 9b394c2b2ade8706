"""What the model paints for prompts of combinations that training never saw."""

from dataclasses import dataclass
from random import Random

import torch
from diffusers import StableDiffusionPipeline

from starter_image.prompts import write_prompt
from starter_image.reading import read_picture
from starter_image.world import Picture, pictures

STEPS = 12
GUIDANCE = 3.0
"""Steps and guidance of the measured figures: the values to use."""
PAINTED_AT_ONCE = 16


@dataclass(frozen=True)
class Score:
    """How many of ``num_asked`` pictures showed what was asked for."""

    prompts: str
    num_asked: int
    num_right: dict[str, int]
    num_all_right: int


def evaluate(pipeline: StableDiffusionPipeline, *, seed: int, num_per_combination: int) -> list[Score]:
    """Scores of prompts that say everything, and of prompts that leave out the size."""
    return [
        _score(pipeline, "everything said", Picture._fields, seed=seed, times=num_per_combination),
        _score(pipeline, "size not said", Picture._fields[:-1], seed=seed, times=num_per_combination),
    ]


def _score(
    pipeline: StableDiffusionPipeline, name: str, attributes: tuple[str, ...], *, seed: int, times: int
) -> Score:
    rng = Random(seed)
    asked = pictures(held_out=True) * times
    prompts = [write_prompt(picture, rng, says_size="size" in attributes) for picture in asked]
    painted = paint(pipeline, prompts, seed=seed)
    right = [
        {attribute: getattr(asked_for, attribute) == getattr(shown, attribute) for attribute in attributes}
        for asked_for, shown in zip(asked, painted, strict=True)
    ]
    return Score(
        prompts=name,
        num_asked=len(asked),
        num_right={attribute: sum(answer[attribute] for answer in right) for attribute in attributes},
        num_all_right=sum(all(answer.values()) for answer in right),
    )


def paint(pipeline: StableDiffusionPipeline, prompts: list[str], *, seed: int) -> list[Picture]:
    """What the pictures for ``prompts`` show; the one at place i is painted with seed ``seed + i``."""
    shown = []
    for start in range(0, len(prompts), PAINTED_AT_ONCE):
        part = prompts[start : start + PAINTED_AT_ONCE]
        generators = [torch.Generator().manual_seed(seed + start + index) for index in range(len(part))]
        images = pipeline(
            part, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators
        ).images
        shown += [read_picture(image) for image in images]
    return shown
