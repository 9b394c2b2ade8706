"""The texts the student learns from, in groups of one meaning, and the texts that are kept for measuring.

It knows nothing of vectors. The same seed on a machine with the same free text gives the same corpus.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from starter_embed.free_text import documentation, package_synopses, sentences
from starter_embed.templates import Pair, Templates, draw_words

HELD_OUT_PAIRS = Path(__file__).parent / "held_out_pairs.tsv"
_HELD_OUT_EVERY = 16
_NUM_WIDE_WORDS = 12_000
_SHARES = {"paraphrase": 0.45, "answer": 0.08, "words": 0.22, "free": 0.25}

Group = tuple[str, ...]
"""One text, or two of one meaning."""


@dataclass(frozen=True)
class Corpus:
    """``texts`` are those of ``groups``, each once and sorted; ``held_out`` is free text that no group holds."""

    texts: list[str]
    groups: list[Group]
    held_out: list[str]

    def places(self) -> list[tuple[int, ...]]:
        """The groups, as positions in ``texts``."""
        place = {text: index for index, text in enumerate(self.texts)}
        return [tuple(place[text] for text in group) for group in self.groups]


@dataclass(frozen=True)
class FreeText:
    """``pairs`` are a summary and what follows it; ``held_out`` is never trained on."""

    singles: list[str]
    pairs: list[Pair]
    held_out: list[str]


def read_corpus(common_words: list[str], *, seed: int, num_groups: int) -> Corpus:
    """``num_groups`` groups at most. ``common_words`` come most frequent first."""
    wide_words = [word for word in common_words if len(word) > 2][:_NUM_WIDE_WORDS]
    free = read_free_text()
    groups = draw_groups(Random(seed), wide_words, free=free, num_groups=num_groups)
    return Corpus(sorted({text for group in groups for text in group}), groups, free.held_out)


def read_held_out_pairs() -> list[Pair]:
    """Pairs written by hand, which no template makes."""
    return [Pair(*line.split("\t")) for line in HELD_OUT_PAIRS.read_text().splitlines()]


def read_free_text() -> FreeText:
    documented = documentation()
    singles = [*package_synopses(), *(text for text, rest in documented if not rest)]
    singles += [sentence for _, rest in documented for sentence in sentences(rest)]
    pairs = [Pair(summary, rest) for summary, rest in documented if rest]
    held_out = [text for text in singles if _is_held_out(text)]
    return FreeText(
        singles=[text for text in singles if not _is_held_out(text)],
        pairs=[pair for pair in pairs if not set(sentences(pair.second)) & set(held_out)],
        held_out=held_out,
    )


def draw_groups(rng: Random, wide_words: list[str], *, free: FreeText, num_groups: int) -> list[Group]:
    """Different groups in random order; less than ``num_groups`` where the machine has little free text."""
    templates = Templates(wide_words)
    counts = {kind: int(share * num_groups) for kind, share in _SHARES.items()}
    groups: list[Group] = [templates.draw_paraphrase(rng) for _ in range(counts["paraphrase"])]
    groups += [templates.draw_answer(rng) for _ in range(counts["answer"])]
    groups += [(draw_words(rng, wide_words),) for _ in range(counts["words"])]
    available: list[Group] = [*free.pairs, *((text,) for text in free.singles)]
    groups += rng.sample(available, min(counts["free"], len(available)))
    kept_out = {text for pair in read_held_out_pairs() for text in pair}
    distinct = [group for group in dict.fromkeys(groups) if not kept_out & set(group)]
    rng.shuffle(distinct)
    return distinct


def _is_held_out(text: str) -> bool:
    return zlib.crc32(text.encode()) % _HELD_OUT_EVERY == 0
