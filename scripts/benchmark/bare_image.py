"""The bare diffusers call, timed in a process of its own; run by `image.py` with the engines' interpreter.

A line on stdin, `{"num_calls": 8, "batch": 1}`, is answered by a line on stdout: the seconds of each call, from prompts
to PNG files.
"""

import argparse
import io
import json
import sys
import time

import torch
from diffusers import DiffusionPipeline


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--guidance", type=float, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = DiffusionPipeline.from_pretrained(given.weights, local_files_only=True, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)

    def draw(batch: int) -> float:
        begun = time.perf_counter()
        pictures = pipeline(
            [given.prompt] * batch,
            height=given.size,
            width=given.size,
            num_inference_steps=given.steps,
            guidance_scale=given.guidance,
            generator=[torch.Generator("cpu").manual_seed(number) for number in range(batch)],
        ).images
        for picture in pictures:
            picture.save(io.BytesIO(), "PNG", compress_level=1)
        return time.perf_counter() - begun

    draw(1)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps([draw(order["batch"]) for _ in range(order["num_calls"])]), flush=True)


if __name__ == "__main__":
    main()
