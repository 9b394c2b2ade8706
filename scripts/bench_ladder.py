"""Measures the first answer of a model that is stopped, asleep and hot, and the memory that each state holds.

    make bench
    python scripts/bench_ladder.py --rounds 5

Models of some 100 MB with random weights, real engines, one server. Each round stops a model, asks it, puts it to
sleep, asks it, asks it once more. Memory is what the operating system tells of the worker's processes. Writes its part
of docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
from benchmark import report, servers, stamp
from benchmark.client import json_body

from server.workers.proc import memory_by_group

FOLDER = Path(".hearth/bench/ladder")
PAGE = servers.ROOT / "docs/benchmarks.md"
DEADLINE_S = 120.0
MIB = 1024**2


class Model(NamedTuple):
    """`kind` is what `tests.engines.make_heavy_models` calls it."""

    kind: str
    engine: str
    modality: str
    path: str
    body: dict[str, object]
    config: dict[str, object]

    @property
    def slug(self) -> str:
        return f"heavy/{self.kind}"


MODELS = (
    Model("embed", "st_embed", "embedding", "embed", {"input": "a cat sat"}, {"context_window": 32}),
    Model(
        "rerank", "st_rerank", "rerank", "rerank",
        {"query": "cat", "documents": ["a cat sat"]}, {"context_window": 32},
    ),
    Model(
        "image", "diffusers_image", "image", "images/generate",
        {"prompt": "a red circle", "seed": 7}, {"options": {"sizes": ["32x32"], "steps": 4}},
    ),
)  # fmt: skip


class Sample(NamedTuple):
    """Of one round: seconds until the first answer, bytes that the worker held before it; 0 without a worker."""

    stopped_s: float
    asleep_s: float
    hot_s: float
    asleep_bytes: int
    hot_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", choices=[model.kind for model in MODELS], nargs="+", help="publishes nothing"
    )
    options = parser.parse_args()
    python = Path(os.environ.get("HEARTH_ENGINES_PYTHON", ".hearth/engines/cpu/bin/python")).absolute()
    FOLDER.mkdir(parents=True, exist_ok=True)
    samples: dict[str, list[Sample]] = {}
    for model in [model for model in MODELS if model.kind in (options.only or model.kind)]:
        samples[model.kind] = measure(model, python, options.rounds)
        print(row(model, samples[model.kind]), flush=True)
    if options.only:
        return
    text = section(samples, options.rounds)
    print(text)
    PAGE.write_text(report.insert(PAGE.read_text(), text, "ladder"))


def measure(model: Model, python: Path, num_rounds: int) -> list[Sample]:
    folder = FOLDER.resolve() / model.kind
    weights = folder / "weights"
    if not weights.exists():
        maker = [str(python), "-m", "tests.engines.make_heavy_models", model.kind, str(weights)]
        subprocess.run(maker, cwd=servers.ROOT, check=True, capture_output=True)
    backend = model.config | {
        "engine": model.engine,
        "modality": model.modality,
        "frontends": [model.slug],
        "weights": str(weights),
        "licence": "none",
        "device": "cpu",
    }
    body = {"model": model.slug} | model.body
    path = f"/v1/inference/{model.path}"
    with servers.hearth_with(backend, folder, python, path=path, probe=json_body(body)) as server:
        headers = {"Authorization": f"Bearer {server.key}"}
        base_url = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=base_url, headers=headers, timeout=DEADLINE_S) as client:
            return [one_round(client, path, body) for _ in range(num_rounds)]


def one_round(client: httpx.Client, path: str, body: dict[str, object]) -> Sample:
    change(client, "stop", "stopped")
    stopped_s = seconds(lambda: ask(client, path, body))
    hot_bytes = held_bytes(client)
    change(client, "sleep", "asleep")
    asleep_bytes = held_bytes(client)
    asleep_s = seconds(lambda: ask(client, path, body))
    return Sample(stopped_s, asleep_s, seconds(lambda: ask(client, path, body)), asleep_bytes, hot_bytes)


def ask(client: httpx.Client, path: str, body: dict[str, object]) -> None:
    client.post(path, json=body).raise_for_status()


def change(client: httpx.Client, action: str, state: str) -> None:
    """Raises TimeoutError if the backend does not get there. It may not sleep before its memory was measured."""
    deadline = time.monotonic() + DEADLINE_S
    while client.post(f"/v1/backends/be_bench/{action}").status_code == httpx.codes.CONFLICT:
        _wait(client, deadline)
    while backend(client)["state"] != state:
        _wait(client, deadline)


def _wait(client: httpx.Client, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(json.dumps(backend(client)))
    time.sleep(0.02)


def backend(client: httpx.Client) -> dict[str, object]:
    [found] = client.get("/v1/backends").raise_for_status().json()["data"]["items"]
    return dict(found)


def held_bytes(client: httpx.Client) -> int:
    group = memory_by_group().get(int(str(backend(client)["pid"])))
    return group.resident_bytes if group else 0


def seconds(do: Callable[[], None]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def row(model: Model, samples: Sequence[Sample]) -> str:
    stopped, asleep, hot = (median(s[n] for s in samples) for n in range(3))
    ratios = [s.stopped_s / s.asleep_s for s in samples]
    held, kept = (median(s[n] for s in samples) / MIB for n in (4, 3))
    return (
        f"| {model.kind} (`{model.engine}`) | {stopped:.2f} s | {asleep:.3f} s | {hot:.3f} s |"
        f" {median(ratios):.0f} ({min(ratios):.0f}-{max(ratios):.0f}) | {held:.0f} MiB | {kept:.0f} MiB |"
    )


def section(samples: dict[str, list[Sample]], num_rounds: int) -> str:
    head = [
        f"- {stamp.now()}, commit {stamp.commit()}: `{' '.join(['python', *sys.argv])}`, {num_rounds} rounds, medians.",
        f"- {stamp.machine()}.",
        "",
        "| Model | stopped | asleep | hot | stopped by asleep | holds hot | holds asleep |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(row(model, samples[model.kind]) for model in MODELS)]) + "\n"


if __name__ == "__main__":
    main()
