"""Measures batches: what a line costs, what they do to interactive requests, what their order of lines is worth.

    python scripts/bench_batches.py
    python scripts/bench_batches.py --quick --only overhead

One part after the other, each with a server of its own. Writes all samples to .hearth/bench/, a full run also the part
of docs/benchmarks.md. The engine of the first part is the tests' fake; the others run the starter chat model on vLLM.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import proof  # noqa: F401 - finds this checkout's fakes
from benchmark import batch_beside, batch_overhead, batch_prefix, servers, stamp
from benchmark.report import insert

from server.engine_envs import python_for
from server.settings_sources import load_settings

FOLDER = Path(".hearth/bench")
PAGE = servers.ROOT / "docs/benchmarks.md"
PART = "batches"
Measured = tuple[str, list[Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped then, too
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python", "scripts/bench_batches.py", *given])
    date = stamp.now()
    sections, samples = [], {}
    for name in options.only:
        folder = FOLDER.resolve() / f"batch-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{name} ...", flush=True)
        text, rounds = PARTS[name](folder, options)
        sections.append(text)
        samples[name] = [asdict(done) for done in rounds]
        print(f"\n{text}\n", flush=True)
    results = FOLDER / f"batches-{stamp.file_name(date)}.json"
    results.write_text(json.dumps({"command": command, "commit": stamp.commit()} | samples, indent=1))
    loads = [done["load_average"] for rounds in samples.values() for done in rounds]
    head = (
        f"- {date}, commit {stamp.commit()}: `{command}`.\n- {stamp.machine()}. Load average"
        f" {min(loads):.1f} to {max(loads):.1f}, the benchmark's own included."
    )
    if not options.quick and set(options.only) == set(PARTS):
        PAGE.write_text(insert(PAGE.read_text(), "\n\n".join([head, *sections]) + "\n", PART))
        print(f"Written: {PAGE}")


def _overhead(folder: Path, options: argparse.Namespace) -> Measured:
    num_lines, num_rounds = (1000, 1) if options.quick else (10_000, 3)
    with batch_overhead.server(folder) as running:
        rounds = batch_overhead.measure(running, num_lines, num_rounds)
    return batch_overhead.section(rounds), rounds


def _beside(folder: Path, options: argparse.Namespace) -> Measured:
    turn_s, num_rounds = (8.0, 1) if options.quick else (30.0, 5)
    with batch_beside.server(options.model.resolve(), folder, _engines_python()) as running:
        rounds = batch_beside.measure(running, turn_s, num_rounds)
    return batch_beside.section(rounds), rounds


def _prefix(folder: Path, options: argparse.Namespace) -> Measured:
    lines_per_prefix, num_rounds = (4, 1) if options.quick else (16, 5)
    with batch_prefix.server(options.model.resolve(), folder, _engines_python()) as running:
        rounds = batch_prefix.measure(running, lines_per_prefix, num_rounds)
    return batch_prefix.section(rounds), rounds


PARTS: dict[str, Callable[[Path, argparse.Namespace], Measured]] = {
    "overhead": _overhead,
    "beside": _beside,
    "prefix": _prefix,
}


def _engines_python() -> Path:
    return python_for("vllm_chat", load_settings())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure batches.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--model", type=Path, default=Path("model_configs/starter/chat"), help="its folder")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only: no such part: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
