"""Trains the starter speech model and writes its folder: weights, configuration and card.

    python scripts/train_starter_speech.py --out model_configs/starter/speech --steps 3600 --seed 0

Needs coqui-tts and espeak-ng; no network and no GPU. A transcriber for the card's word error rates can be given
then or later, with --measure-again.
"""

import argparse
import hashlib
import shlex
import sys
from pathlib import Path
from random import Random

import torch
from starter_speech.batches import draw_batches
from starter_speech.card import Facts, describe_training, read_training, write_card
from starter_speech.evaluate import compare, load_transcriber, time_speech, understand
from starter_speech.examples import Teacher
from starter_speech.model import NUM_MELS, SAMPLE_RATE_HZ, WEIGHTS, build_model, load_model, save_model
from starter_speech.texts import draw_text
from starter_speech.training import Progress, train
from starter_speech.words import ALL_WORDS
from TTS.tts.models.forward_tts import ForwardTTS

NUM_PASSES = 5


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    rng = Random(options.seed)
    model = build_model(seed=options.seed)
    teacher = Teacher(model, [draw_text(rng) for _ in range(options.alignment_texts)])
    if options.measure_again:
        made_by = read_training((options.out / "README.md").read_text())
    else:
        progress = _train(model, teacher, rng, options)
        command = shlex.join(["python", "scripts/train_starter_speech.py", *arguments])
        made_by = describe_training(progress, command=command, seed=options.seed, machine=options.machine)
    _measure(teacher, options, made_by)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--pool", type=int, default=2048, help="sentences spoken and kept at a time")
    parser.add_argument(
        "--alignment-texts", type=int, default=3000, help="texts from which letters and phonemes are aligned"
    )
    parser.add_argument("--checkpoint-steps", type=int, default=500)
    parser.add_argument("--sentences", type=int, default=200, help="sentences of each kind in the evaluation")
    parser.add_argument("--transcriber", type=Path, help="folder of a Whisper for faster-whisper")
    parser.add_argument("--transcriber-name", default="the transcriber", help="what the card calls it")
    parser.add_argument("--measure-again", action="store_true", help="only write the card in --out anew")
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    return parser.parse_args(arguments)


def _train(model: ForwardTTS, teacher: Teacher, rng: Random, options: argparse.Namespace) -> Progress:
    batches = draw_batches(
        teacher.make_all(draw_text, rng),
        Random(options.seed + 1),
        batch_size=options.batch_size,
        pool_size=options.pool,
        num_passes=NUM_PASSES,
    )

    def export(progress: Progress) -> None:
        save_model(model, options.out)
        print(f"  written: {options.out}", flush=True)

    progress = train(
        model,
        batches,
        num_steps=options.steps,
        num_sounds=len(teacher.sounds),
        checkpoint_steps=options.checkpoint_steps,
        on_checkpoint=export,
    )
    export(progress)
    return progress


def _measure(teacher: Teacher, options: argparse.Namespace, made_by: str) -> None:
    """What is measured is the folder as it was written."""
    model = load_model(options.out)
    understanding = None
    if options.transcriber is not None:
        hear = load_transcriber(options.transcriber)
        understanding = understand(model, hear, seed=options.seed, num_sentences=options.sentences)
    facts = Facts(
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        num_words=len(ALL_WORDS),
        num_mels=NUM_MELS,
        sample_rate_hz=SAMPLE_RATE_HZ,
        sha256=hashlib.sha256((options.out / WEIGHTS).read_bytes()).hexdigest(),
    )
    card = write_card(
        facts,
        likeness=compare(model, teacher, seed=options.seed, num_sentences=options.sentences),
        num_compared=options.sentences,
        speed=time_speech(model, seed=options.seed, num_sentences=min(20, options.sentences)),
        transcriber=options.transcriber_name,
        understanding=understanding,
        made_by=made_by,
    )
    (options.out / "README.md").write_text(card)
    print(card)


if __name__ == "__main__":
    main(sys.argv[1:])
