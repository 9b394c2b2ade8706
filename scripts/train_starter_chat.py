"""Trains the starter chat model and writes its folder: weights, tokenizer, chat template and card.

    python scripts/train_starter_chat.py --out model_configs/starter/chat --minutes 75 --seed 0

Needs torch, transformers and tokenizers; no network and no GPU.
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch
from starter_chat.card import Origin, read_origin, write_card
from starter_chat.evaluate import Score, evaluate
from starter_chat.tokenizer import MAX_TOKENS, build_tokenizer
from starter_chat.training import DEFAULT_TEMPERATURE, Budget, Progress, build_model, take_over, train
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    tokenizer = build_tokenizer(seed=options.seed, num_dialogues=options.vocabulary_dialogues)
    model = build_model(tokenizer, seed=options.seed)
    if options.start is not None:
        take_over(model, tokenizer, options.start)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{num_parameters / 1e6:.2f} million parameters, {len(tokenizer)} tokens", flush=True)

    def export(folder: Path, progress: Progress, num_per_kind: int) -> None:
        scores = evaluate(model, tokenizer, seed=options.seed, num_per_kind=num_per_kind)
        print(
            "  " + ", ".join(f"{score.kind} {score.num_exact}/{score.num_asked}" for score in scores),
            flush=True,
        )
        command = shlex.join(["python", "scripts/train_starter_chat.py", *arguments])
        origin = Origin(
            command=command,
            seed=options.seed,
            machine=options.machine,
            num_parameters=num_parameters,
            context=MAX_TOKENS,
            temperature=DEFAULT_TEMPERATURE,
            progress=progress,
            ancestor=read_origin(options.start) if options.start is not None else None,
        )
        _save(folder, model, tokenizer, origin, scores)

    progress = train(
        model,
        tokenizer,
        budget=Budget(options.minutes, options.steps),
        seed=options.seed,
        on_checkpoint=lambda progress: export(options.checkpoints or options.out, progress, 20),
        checkpoint_minutes=options.checkpoint_minutes,
        is_compiled=options.compile,
        is_fresh=options.start is None,
    )
    export(options.out, progress, options.questions)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--minutes", type=float, default=75.0, help="time to train")
    parser.add_argument("--steps", type=int, help="train this many steps instead")
    parser.add_argument("--start", type=Path, help="folder of an earlier model to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compile", action="store_true", help="compile the model first: a minute's wait, then a fifth faster"
    )
    parser.add_argument("--questions", type=int, default=100, help="questions of each kind in the evaluation")
    parser.add_argument(
        "--vocabulary-dialogues", type=int, default=20000, help="dialogues whose words become tokens"
    )
    parser.add_argument("--checkpoints", type=Path, help="folder for models on the way; default: --out")
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0)
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    return parser.parse_args(arguments)


def _save(
    folder: Path,
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    origin: Origin,
    scores: list[Score],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(write_card(origin, scores))
    print(f"  written: {folder}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
