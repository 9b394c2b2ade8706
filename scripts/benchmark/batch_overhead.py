"""What a line of a batch costs beside its model: an engine that answers at once, 10,000 lines, one server.

The same bodies go through the online API from as many connections as a batch has places.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from proof.processes import rss_bytes

from benchmark import processes
from benchmark.batch_job import Job, client, num_commits
from benchmark.batch_servers import batch_places, without_model
from benchmark.client import json_body
from benchmark.report import ratio, table
from benchmark.servers import Server
from benchmark.workload import MODEL

PLACES = 64
SAMPLE_S = 0.25
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Round:
    """`cpu_ms` is by role and line, of the batch; `rss_mib` are samples of the API process as lines go by."""

    num_lines: int
    batch_s: float
    online_s: float
    cpu_ms: dict[str, float]
    online_cpu_ms: dict[str, float]
    num_commits: int
    rss_mib: list[float]
    load_average: float


def server(folder: Path) -> AbstractContextManager[Server]:
    return without_model(folder, places=PLACES)


def measure(running: Server, num_lines: int, num_rounds: int) -> list[Round]:
    """The order of the two turns with the round; a tenth of a round comes first and counts for nothing."""
    _measure(running, num_lines // 10, is_batch_first=True)
    return [_measure(running, num_lines, is_batch_first=number % 2 == 0) for number in range(num_rounds)]


def section(rounds: Sequence[Round]) -> str:
    """Markdown."""
    batch = [done.num_lines / done.batch_s for done in rounds]
    online = [done.num_lines / done.online_s for done in rounds]
    commits = [done.num_commits / done.batch_s for done in rounds]
    per_commit = [done.num_lines / done.num_commits for done in rounds]
    added = [1e3 * (done.batch_s - done.online_s) / done.num_lines for done in rounds]
    rows = [
        ("lines/s", _of(batch, 0), _of(online, 0), str(ratio(batch, online))),
        (
            "ms a line",
            _of([1e3 / v for v in batch], 2),
            _of([1e3 / v for v in online], 2),
            f"added {_of(added, 2)}",
        ),
        ("CPU of the API process, ms a line", *_cpu(rounds, "api")),
        ("CPU of the worker, ms a line", *_cpu(rounds, "worker")),
        ("commits/s", _of(commits, 0), "", ""),
        ("lines a commit", _of(per_commit, 1), "", ""),
        ("API process, peak RSS, MiB", _of([max(done.rss_mib) for done in rounds], 0), "", ""),
        ("API process, RSS at the start, MiB", _of([done.rss_mib[0] for done in rounds], 0), "", ""),
        ("API process, slope, MiB per 10,000 lines", _of([slope(done) for done in rounds], 1), "", ""),
    ]
    heading = (f"{rounds[0].num_lines:,} lines, engine without a model", "Batch", "Online", "Ratio (range)")
    return table(heading, rows)


def slope(done: Round) -> float:
    """MiB per 10,000 lines over the last four fifths of the batch, by least squares."""
    values = done.rss_mib[len(done.rss_mib) // 5 :]
    if len(values) < 2:
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    rise = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    per_sample = rise / sum((place - middle) ** 2 for place in range(len(values)))
    return per_sample * len(done.rss_mib) / done.num_lines * 10_000


def _measure(running: Server, num_lines: int, *, is_batch_first: bool) -> Round:
    bodies = [json_body(_fields(number)).content for number in range(num_lines)]
    load_average = processes.load_average()
    found: dict[str, tuple[float, dict[str, float]]] = {}
    rss_mib: list[float] = []
    commits = 0
    for kind in ("batch", "online") if is_batch_first else ("online", "batch"):
        before, commits_before = processes.sample(running.pid), num_commits(running)
        if kind == "batch":
            elapsed_s = _run_batch(running, bodies, rss_mib)
            commits = num_commits(running) - commits_before
        else:
            elapsed_s = client("client", running, bodies, num_clients=batch_places(PLACES), stream=False)[
                "elapsed_s"
            ]
        used = processes.used(before, processes.sample(running.pid))
        found[kind] = elapsed_s, {role: 1e3 * s / num_lines for role, s in used.items()}
    (batch_s, cpu_ms), (online_s, online_cpu_ms) = found["batch"], found["online"]
    return Round(num_lines, batch_s, online_s, cpu_ms, online_cpu_ms, commits, rss_mib, load_average)


def _run_batch(running: Server, bodies: list[bytes], rss_mib: list[float]) -> float:
    rss_mib.append(rss_bytes(running.pid) / _MIB)
    sampled_at = time.monotonic()

    def sample() -> None:
        nonlocal sampled_at
        if time.monotonic() - sampled_at >= SAMPLE_S:
            sampled_at = time.monotonic()
            rss_mib.append(rss_bytes(running.pid) / _MIB)

    return Job(running, bodies).wait_for_end(sample)


def _fields(number: int) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"line {number}"}]}


def _cpu(rounds: Sequence[Round], role: str) -> tuple[str, str, str]:
    ours = [done.cpu_ms.get(role, 0.0) for done in rounds]
    theirs = [done.online_cpu_ms.get(role, 0.0) for done in rounds]
    return _of(ours, 2), _of(theirs, 2), str(ratio(ours, theirs)) if all(theirs) else ""


def _of(values: Sequence[float], digits: int) -> str:
    """Median and range."""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    return f"{middle:,.{digits}f} ({ordered[0]:,.{digits}f}-{ordered[-1]:,.{digits}f})"
