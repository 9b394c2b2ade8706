"""Trains the starter image model and writes its folder: a Stable Diffusion pipeline and its card.

    python scripts/train_starter_image.py --out model_configs/starter/image --seed 0

Needs torch, transformers, diffusers and Pillow; no network and no GPU.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from random import Random

import torch
from diffusers import StableDiffusionPipeline
from starter_image.autoencoder import train_autoencoder
from starter_image.card import Cost, Origin, write_card
from starter_image.decoder import train_decoder
from starter_image.diffusion import encode_drawings, train_unet
from starter_image.evaluate import Score, evaluate
from starter_image.parts import build_pipeline
from starter_image.text_encoder import train_text_encoder

CHECKED_PER_COMBINATION = 1
"""Pictures of every combination in the evaluation of a checkpoint."""


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    pipeline = build_pipeline()
    command = shlex.join(["python", "scripts/train_starter_image.py", *arguments])
    started, started_cpu = time.monotonic(), time.process_time()

    def export(unet_steps: int, num_per_combination: int) -> None:
        cost = Cost(unet_steps, time.monotonic() - started, time.process_time() - started_cpu)
        scores = evaluate(pipeline, seed=options.seed, num_per_combination=num_per_combination)
        origin = Origin(command=command, seed=options.seed, machine=options.machine, cost=cost)
        _save(options.out, pipeline, write_card(pipeline, origin, scores))
        _report(cost, scores)

    rng = Random(options.seed)
    train_text_encoder(pipeline.text_encoder, pipeline.tokenizer, steps=options.text_steps, rng=rng)
    train_autoencoder(pipeline.vae, steps=options.autoencoder_steps, rng=rng)
    drawings = encode_drawings(pipeline, num_drawings=options.drawings, rng=rng)
    train_unet(
        pipeline,
        drawings,
        steps=options.steps,
        rng=rng,
        on_checkpoint=lambda step: export(step, CHECKED_PER_COMBINATION),
        checkpoint_steps=options.checkpoint_steps,
    )
    torch.manual_seed(options.seed + 1)
    train_decoder(pipeline.vae, steps=options.decoder_steps, rng=Random(options.seed + 1))
    export(options.steps, options.questions)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--steps", type=int, default=8000, help="steps of the UNet")
    parser.add_argument("--text-steps", type=int, default=600, help="steps of the text encoder")
    parser.add_argument("--autoencoder-steps", type=int, default=3000)
    parser.add_argument("--decoder-steps", type=int, default=400, help="further steps of its decoder")
    parser.add_argument("--drawings", type=int, default=16384, help="drawings the UNet learns from")
    parser.add_argument("--checkpoint-steps", type=int, default=1000, help="write the model this often")
    parser.add_argument("--questions", type=int, default=8, help="pictures of each held-out combination")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    return parser.parse_args(arguments)


def _save(folder: Path, pipeline: StableDiffusionPipeline, card: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pipeline.save_pretrained(folder)
    (folder / "README.md").write_text(card)


def _report(cost: Cost, scores: list[Score]) -> None:
    print(f"  {cost.unet_steps} steps, {cost.cpu_s / 60:.1f} minutes of CPU time", flush=True)
    for score in scores:
        right = ", ".join(f"{attribute} {num}" for attribute, num in score.num_right.items())
        print(f"  {score.prompts}: {right}, all {score.num_all_right} of {score.num_asked}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
