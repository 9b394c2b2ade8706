"""What is asked of a server: the kinds of load and the bodies of their requests. Knows no server."""

import json
import random
from dataclasses import dataclass, replace

MODEL = "bench/chat"
WORDS = """
    river stone window garden paper winter bread music letter market bridge forest silver yellow morning
    evening kitchen doctor teacher village island number answer question story colour animal weather friend
    before after under between always never often quiet slow bright heavy early seven eleven twenty
""".split()  # noqa: SIM905  # a list literal would be fifty lines


@dataclass(frozen=True)
class Load:
    """`num_requests` over `num_clients` connections; each sends its next when its last is answered.

    It takes part in the first of every `every` rounds.
    """

    name: str
    title: str
    num_clients: int
    num_requests: int
    max_tokens: int
    stream: bool = False
    every: int = 1


SHORT = Load("short", "1 token, 32 clients", 32, 800, 1)
LONG = Load("long", "128 tokens, 32 clients", 32, 96, 128)
STREAMED = Load("streamed", "128 tokens streamed, 32 clients", 32, 96, 128, stream=True)
TOGETHER = Load("together", "64 streams of 64 tokens at once", 64, 64, 64, stream=True, every=5)
ONE_BY_ONE = Load("one_by_one", "64 streams of 64 tokens one by one", 1, 64, 64, stream=True, every=5)
LOADS = (SHORT, LONG, STREAMED, TOGETHER, ONE_BY_ONE)


def quick(load: Load) -> Load:
    """The same kind of load, about a tenth of it."""
    return replace(load, num_requests=max(load.num_requests // 10, min(load.num_clients, 64), 8))


def bodies(load: Load, seed: str) -> list[bytes]:
    """The same for the same seed; prompts of different seeds share no beginning worth caching."""
    source = random.Random(f"{seed} {load.name}")
    return [_body(load, source) for _ in range(load.num_requests)]


def _body(load: Load, source: random.Random) -> bytes:
    words = " ".join(source.choices(WORDS, k=24))
    fields: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"{source.randrange(10**6)} {words}?"}],
        "max_tokens": load.max_tokens,
        "temperature": 0.0,
        "ignore_eos": True,
    }
    if load.stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(fields).encode()
