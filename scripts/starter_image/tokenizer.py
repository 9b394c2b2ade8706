"""A CLIP tokenizer in which every word of the prompts is one token and any other word is spelled."""

import json
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from transformers import CLIPTokenizer

from starter_image.prompts import BACKGROUNDS, OPENINGS, PRAISE, SIZE_WORDS
from starter_image.world import COLOURS, SHAPES

MAX_TOKENS = 32
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"

Merge: TypeAlias = tuple[str, str]


def build_tokenizer() -> CLIPTokenizer:
    merges = _merges(_words())
    letters = _byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    with TemporaryDirectory() as folder:
        vocabulary_file, merges_file = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary_file.write_text(json.dumps(vocabulary))
        lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
        merges_file.write_text("\n".join(lines) + "\n")
        return CLIPTokenizer(str(vocabulary_file), str(merges_file), model_max_length=MAX_TOKENS)


def _words() -> list[str]:
    """The words of the prompts, in the order in which they become tokens."""
    phrases = (*OPENINGS, *PRAISE, *BACKGROUNDS, *SIZE_WORDS["small"], *SIZE_WORDS["big"], *COLOURS, *SHAPES)
    words = " ".join(phrase.format(a="a", bare="") for phrase in phrases).split()
    return list(dict.fromkeys([*words, "an", "the", "in", "please"]))


def _merges(words: list[str]) -> list[Merge]:
    """Pairs of tokens to join, first things first, so that each of ``words`` ends as one token.

    A word is first spelled with the merges of the words before it; what is left of it is joined from the left.
    """
    ranks: dict[Merge, int] = {}
    for word in words:
        head, *rest = _spell(word, ranks)
        for part in rest:
            ranks[head, part] = len(ranks)
            head += part
    return list(ranks)


def _spell(word: str, ranks: dict[Merge, int]) -> list[str]:
    """Byte-pair encoding: join the pair that comes first in ``ranks`` until none is left."""
    parts = [*word[:-1], word[-1] + WORD_END]
    while known := [pair for pair in pairwise(parts) if pair in ranks]:
        position = list(pairwise(parts)).index(min(known, key=ranks.__getitem__))
        parts[position : position + 2] = ["".join(parts[position : position + 2])]
    return parts


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in byte-level BPE: printable ones for themselves, others shifted."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
