"""The reranker's model card: what it is, how it was made and what was measured."""

from dataclasses import dataclass

from starter_embed.training import Progress

TEXT = """\
---
license: apache-2.0
language: en
library_name: sentence-transformers
pipeline_tag: text-ranking
---
# starter/rerank

A reranker for English of {parameters:.1f} million parameters, trained by Hearth itself, so that everything can be
tried on a machine without a GPU. It is small on purpose: for first steps and tests, not for real work.

## Format
A folder for sentence-transformers' `CrossEncoder`: `BertForSequenceClassification` with one label, two layers and
the tokenizer of `starter/embed`. A score is a sigmoid, 0 to 1. Query and passage have 256 tokens together; longer
passages are cut. The weights are stored as float16 and loaded as float32.

## Measured
{num_rankings} queries with five passages each, written by hand and made by no template
(`scripts/starter_embed/held_out_rankings.txt`): how often the passage that answers has the highest score, beside
what the embedder reaches with cosines. The wrong passages are answers to other queries (strangers), or sentences
that share words with the query but do not answer it (lookalikes; the right answers share few). Chance is 0.20.

| wrong passages | this reranker | starter/embed | the teacher's cosines |
| --- | --- | --- | --- |
{rows}

Where the embedder's figure is the higher one, its cosines rank better than this model, which then mainly shows how a
reranker is served. It goes by shared words more than by meaning, hence the figures for lookalikes.

## Made by
`{command}`

Seed {seed}, {steps} steps, {tokens:.1f} million tokens. {cpu:.0f} CPU minutes of training ({wall:.0f} minutes by the
clock with everything) on {machine}.

It starts with the layers of `starter/embed`, half of whose first heads are set to look at like words of the other
text; the vectors of words stay as they are. Training shows a text, its partner (a paraphrase, or a passage that
answers) and three others, two of which the teacher of the embedder (all-MiniLM-L6-v2, Apache-2.0) finds alike;
the teacher's cosine says how relevant those are. The texts are the embedder's.
"""


@dataclass(frozen=True)
class Origin:
    """How a model came about, for its card."""

    command: str
    seed: int
    machine: str
    num_parameters: int
    wall_s: float
    progress: Progress


@dataclass(frozen=True)
class Score:
    """How often each puts the right passage first, where the wrong passages are of the kind ``name``."""

    name: str
    reranker: float
    embedder: float
    teacher: float


def write_card(origin: Origin, scores: list[Score], *, num_rankings: int) -> str:
    return TEXT.format(
        parameters=origin.num_parameters / 1e6,
        num_rankings=num_rankings,
        rows="\n".join(
            f"| {score.name} | {score.reranker:.2f} | {score.embedder:.2f} | {score.teacher:.2f} |"
            for score in scores
        ),
        command=origin.command,
        seed=origin.seed,
        steps=origin.progress.steps,
        tokens=origin.progress.tokens / 1e6,
        cpu=origin.progress.cpu_s / 60,
        wall=origin.wall_s / 60,
        machine=origin.machine,
    )
