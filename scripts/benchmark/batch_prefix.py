"""What ordering lines by their shared beginnings is worth: real vLLM with a prompt cache that holds a part of them.

Shuffled lines with so many long prefixes; as a batch, which runs them in an order of its own, and through the online
API in the input's order from as many connections as a batch has places.
"""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import processes
from benchmark.batch_job import Job, client
from benchmark.batch_servers import batch_places, on_vllm
from benchmark.client import json_body
from benchmark.report import ratio, table
from benchmark.servers import Server
from benchmark.workload import MODEL, WORDS

NUM_PREFIXES = 64
PREFIX_WORDS = 300
MAX_TOKENS = 8
PLACES = 20
CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Round:
    """`cached` is the share of the batch's prompt tokens that the engine had computed before."""

    num_lines: int
    prompt_tokens: int
    batch_s: float
    online_s: float
    cached: float
    load_average: float


def server(weights: Path, folder: Path, engines_python: Path) -> AbstractContextManager[Server]:
    return on_vllm(weights, folder, engines_python, places=PLACES, cache_bytes=CACHE_BYTES)


def measure(running: Server, lines_per_prefix: int, num_rounds: int) -> list[Round]:
    """New prefixes each round; the order of the two turns with it."""
    return [_measure(running, lines_per_prefix, number) for number in range(num_rounds)]


def section(rounds: Sequence[Round]) -> str:
    """Markdown."""
    batch = [done.num_lines / done.batch_s for done in rounds]
    online = [done.num_lines / done.online_s for done in rounds]
    tokens = sum(done.prompt_tokens for done in rounds) / sum(done.num_lines for done in rounds)
    cached = sum(done.cached for done in rounds) / len(rounds)
    middle = len(rounds) // 2
    title = f"{rounds[0].num_lines} shuffled lines, {NUM_PREFIXES} prefixes, {tokens:.0f} tokens each"
    rows = [
        (
            "lines/s",
            f"{sorted(batch)[middle]:.1f}",
            f"{sorted(online)[middle]:.1f}",
            str(ratio(batch, online)),
        )
    ]
    rows.append(("prompt tokens from the cache", f"{100 * cached:.0f}%", "", ""))
    return table((title, "Batch, in prefix order", "Online, in the input's order", "Ratio (range)"), rows)


def _measure(running: Server, lines_per_prefix: int, number: int) -> Round:
    load_average = processes.load_average()
    seconds: dict[str, float] = {}
    usages: list[dict[str, Any]] = []
    num_clients = batch_places(PLACES)
    for kind in ("batch", "online") if number % 2 == 0 else ("online", "batch"):
        bodies = _bodies(
            f"{number} {kind}", lines_per_prefix
        )  # neither finds in the cache what the other left
        if kind == "batch":
            job = Job(running, bodies)
            seconds[kind] = job.wait_for_end()
            usages = [answer["usage"] for answer in job.answers()]
        else:
            seconds[kind] = client("client", running, bodies, num_clients=num_clients, stream=False)[
                "elapsed_s"
            ]
    prompt_tokens = sum(usage["prompt_tokens"] for usage in usages)
    cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)
    num_lines = NUM_PREFIXES * lines_per_prefix
    share = cached / prompt_tokens
    return Round(num_lines, prompt_tokens, seconds["batch"], seconds["online"], share, load_average)


def _bodies(seed: str, lines_per_prefix: int) -> list[bytes]:
    """Shuffled; prefixes of different seeds share nothing."""
    source = random.Random(seed)
    prefixes = [
        f"{source.randrange(10**9)} {' '.join(source.choices(WORDS, k=PREFIX_WORDS))}"
        for _ in range(NUM_PREFIXES)
    ]
    texts = [(prefix, f"{source.randrange(10**6)}?") for prefix in prefixes for _ in range(lines_per_prefix)]
    source.shuffle(texts)
    return [json_body(_fields(prefix, question)).content for prefix, question in texts]


def _fields(prefix: str, question: str) -> dict[str, object]:
    messages = [{"role": "system", "content": prefix}, {"role": "user", "content": question}]
    return {
        "model": MODEL,
        "messages": messages,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
        "ignore_eos": True,
    }
