"""What a batch that saturates the engine does to interactive requests, and they to the batch: real vLLM, one server.

Interactive requests are streamed and come in an open loop. Each round has three turns: they alone, the batch alone,
both together.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark import processes
from benchmark.batch_job import Job, client
from benchmark.batch_servers import on_vllm
from benchmark.client import json_body
from benchmark.report import ratio, table
from benchmark.servers import Server
from benchmark.workload import MODEL, WORDS

PER_S = 4.0
MAX_TOKENS = 32
PLACES = 64
CACHE_BYTES = 256 * 1024 * 1024
TTFT_RATIO, RATE_RATIO = 1.25, 0.7  # what issue 4 demands
_LINES_PER_S = 250  # more than the engine can do, so that the batch outlasts its turns


@dataclass(frozen=True)
class Round:
    """`alone`, `beside` are the interactive client's figures; rates are lines per second."""

    alone: dict[str, float]
    beside: dict[str, float]
    rate_alone: float
    rate_beside: float
    load_average: float

    @property
    def allowed_p99_s(self) -> float:
        """A request comes while some step of the engine runs, and cannot begin before its end: for the p99 of the first
        token it is the p99 of the steps, those that read new lines included.
        """
        return TTFT_RATIO * self.alone["ttft_p99_s"] + self.beside["itl_p99_s"]


def server(weights: Path, folder: Path, engines_python: Path) -> AbstractContextManager[Server]:
    return on_vllm(weights, folder, engines_python, places=PLACES, cache_bytes=CACHE_BYTES)


def measure(running: Server, turn_s: float, num_rounds: int) -> list[Round]:
    """A short round comes first and counts for nothing."""
    _measure(running, 4.0, "warm-up")
    return [_measure(running, turn_s, f"round {number}") for number in range(num_rounds)]


def section(rounds: Sequence[Round]) -> str:
    """Markdown."""
    rows = [
        _latency(rounds, f"{title} {percent}, ms", f"{key}_{percent}_s")
        for title, key in (("first token", "ttft"), ("between tokens (a step of the engine)", "itl"))
        for percent in ("p50", "p99")
    ]
    allowed = median(1e3 * done.allowed_p99_s for done in rounds)
    is_met = median(1e3 * done.beside["ttft_p99_s"] for done in rounds) <= allowed
    rows[1] = (*rows[1][:-1], f"at most {TTFT_RATIO} times and a step, {allowed:.1f}: {_verdict(is_met)}")
    alone, beside = [done.rate_alone for done in rounds], [done.rate_beside for done in rounds]
    kept = ratio(beside, alone)
    demand = f"at least {RATE_RATIO}: {_verdict(kept.median >= RATE_RATIO)}"
    lines = ("batch, lines/s", *_medians(alone, beside), str(kept), demand)
    heading = (f"{PER_S:g} requests/s of {MAX_TOKENS} tokens", "Alone", "Together", "Ratio (range)", "Target")
    return table(heading, [*rows, lines])


def _latency(rounds: Sequence[Round], title: str, key: str) -> tuple[str, ...]:
    alone, beside = [1e3 * done.alone[key] for done in rounds], [1e3 * done.beside[key] for done in rounds]
    return (title, *_medians(alone, beside), str(ratio(beside, alone)), "")


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _measure(running: Server, turn_s: float, seed: str) -> Round:
    load_average = processes.load_average()
    alone = _interact(running, turn_s, f"{seed} alone")
    job = Job(running, [_line(seed, number) for number in range(round(2.5 * turn_s * _LINES_PER_S))])
    try:
        job.wait_for_lines(64)
        rate_alone = _rate(job, lambda: time.sleep(turn_s))
        beside: dict[str, float] = {}
        rate_beside = _rate(job, lambda: beside.update(_interact(running, turn_s, f"{seed} beside")))
    finally:
        job.cancel()
    return Round(alone, beside, rate_alone, rate_beside, load_average)


def _rate(job: Job, during: Callable[[], object]) -> float:
    """Lines recorded per second while `during` runs."""
    before, begun_at = job.num_done(), time.perf_counter()
    during()
    num = job.num_done() - before
    return num / (time.perf_counter() - begun_at)


def _interact(running: Server, turn_s: float, seed: str) -> dict[str, float]:
    source = random.Random(seed)
    bodies = [_body(source, stream=True) for _ in range(round(PER_S * turn_s))]
    return client("open_loop", running, bodies, per_s=PER_S, seed=seed)


def _line(seed: str, number: int) -> bytes:
    return _body(random.Random(f"{seed} line {number}"), stream=False)


def _body(source: random.Random, *, stream: bool) -> bytes:
    text = f"{source.randrange(10**6)} {' '.join(source.choices(WORDS, k=24))}?"
    fields: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
        "ignore_eos": True,
    }
    if stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json_body(fields).content


def _medians(alone: Sequence[float], beside: Sequence[float]) -> tuple[str, str]:
    return f"{median(alone):.1f}", f"{median(beside):.1f}"
