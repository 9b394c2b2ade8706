"""What is asked in the embedding benchmark: kinds of load and their texts. Knows no server."""

import json
import random
from dataclasses import dataclass

MODEL = "bench/embed"
_WORDS = """
    river stone window garden paper winter bread music letter market bridge forest silver yellow morning
    evening kitchen doctor teacher village island number answer question story colour animal weather friend
    before after under between always never often quiet slow bright heavy early seven eleven twenty
""".split()  # noqa: SIM905  # a list literal would be fifty lines


@dataclass(frozen=True)
class Load:
    """Each of `num_clients` sends its next request of `num_texts` when its last is answered.

    A text has from `words[0]` to `words[1]` words; short ones are as many as long ones on a logarithmic scale.
    """

    name: str
    title: str
    num_clients: int
    num_requests: int
    num_texts: int
    words: tuple[int, int]

    def requests(self, seed: str) -> list[list[str]]:
        """The same for the same seed."""
        source = random.Random(f"{seed} {self.name}")
        return [[self._text(source) for _ in range(self.num_texts)] for _ in range(self.num_requests)]

    def _text(self, source: random.Random) -> str:
        fewest, most = self.words
        num_words = round(fewest * (most / fewest) ** source.random())
        return " ".join(source.choices(_WORDS, k=num_words))


ALONE = Load("alone", "1 client, 1 short text", 1, 40, 1, (12, 12))
SHORT = Load("short", "32 clients, 1 short text", 32, 320, 1, (12, 12))
LISTS = Load("lists", "32 clients, 8 short texts", 32, 64, 8, (12, 12))
MIXED = Load("mixed", "32 clients, 8 texts of 6 to 200 words", 32, 32, 8, (6, 200))
LOADS = (ALONE, SHORT, LISTS, MIXED)


def bodies(requests: list[list[str]]) -> list[bytes]:
    return [json.dumps({"model": MODEL, "input": texts}).encode() for texts in requests]
