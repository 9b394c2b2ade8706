"""One call of the pipeline for some seeds, to PNG files: `python -m benchmark.bare.image WEIGHTS SETTINGS`.

SETTINGS is JSON: `prompt`, `size`, `steps`, `guidance`.
"""

import hashlib
import io
import json
import sys

import torch
from diffusers import DiffusionPipeline

from benchmark.bare.calls import answer_calls

_PNG_LEVEL = 1  # as our engine


def main() -> None:
    settings = json.loads(sys.argv[2])
    pipeline = DiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)

    def draw(seeds: list[int]) -> str:
        pictures = pipeline(
            [settings["prompt"]] * len(seeds),
            height=settings["size"],
            width=settings["size"],
            num_inference_steps=settings["steps"],
            guidance_scale=settings["guidance"],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        ).images
        files = [io.BytesIO() for _ in pictures]
        for picture, file in zip(pictures, files, strict=True):
            picture.save(file, "PNG", compress_level=_PNG_LEVEL)
        return " ".join(hashlib.sha256(file.getvalue()).hexdigest()[:16] for file in files)

    answer_calls(draw, [0])


if __name__ == "__main__":
    main()
