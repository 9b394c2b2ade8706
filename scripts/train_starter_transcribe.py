"""Trains the starter transcriber and writes its folder: a Whisper for faster-whisper, and its card.

    python scripts/train_starter_transcribe.py --out model_configs/starter/transcribe --steps 2000 --seed 0

Needs espeak-ng, torch, transformers, faster-whisper and scipy; no network and no GPU.
"""

import argparse
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir

import torch
from starter_transcribe.alignment import choose_alignment_head
from starter_transcribe.card import write_card
from starter_transcribe.clips import make_clips
from starter_transcribe.export import Run, export, load_state, save_state, size_bytes
from starter_transcribe.measure import measure
from starter_transcribe.model import Transcriber
from starter_transcribe.tokenizer import build_tokenizer
from starter_transcribe.training import Progress, train


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(1)
    tokenizer = build_tokenizer()
    model = Transcriber(tokenizer, seed=options.seed)
    runs = [] if options.start is None else load_state(model, options.start)
    clips = make_clips(options.clips, num_clips=options.num_clips, seed=options.seed)
    command = shlex.join(["python", "scripts/train_starter_transcribe.py", *arguments])

    def save(progress: Progress) -> None:
        folder = options.checkpoints / f"{progress.steps}"
        save_state(model, folder, [*runs, Run(command, options.seed, **asdict(progress))])
        export(model, tokenizer, folder)

    progress = train(
        model,
        tokenizer,
        clips,
        steps=options.steps,
        seed=options.seed,
        is_fresh=options.start is None,
        on_checkpoint=save,
        checkpoint_minutes=options.checkpoint_minutes,
    )
    save(progress)
    runs = [*runs, Run(command, options.seed, **asdict(progress))] if progress.steps else runs
    export(model, tokenizer, options.out)
    head = choose_alignment_head(options.out, seed=options.seed + 1, share=options.share / 4)
    card = write_card(
        runs,
        measure(options.out, seed=options.seed, share=options.share),
        num_parameters=sum(parameter.numel() for parameter in model.whisper.parameters()),
        alignment_head=head,
        machine=options.machine,
    )
    (options.out / "README.md").write_text(card)
    print(f"written: {options.out}, {size_bytes(options.out)} bytes", flush=True)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(gettempdir()) / "transcribe-clips"
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from, with whole windows only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=Path, default=cache, help="cache of spoken sentences")
    parser.add_argument("--num-clips", type=int, default=24000)
    parser.add_argument("--checkpoints", type=Path, default=cache / "checkpoints")
    parser.add_argument("--share", type=float, default=1.0, help="share of the recordings to evaluate with")
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    parser.add_argument("--checkpoint-minutes", type=float, default=5.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
