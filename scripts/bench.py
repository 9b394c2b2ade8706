"""Measures Hearth against vLLM's own server: the same engine, model and flags, loads in turn, on one machine.

    make bench
    python scripts/bench.py --quick

Both servers are up all the time, only one is ever under load. Each round gives both the same prompts, in an
order that turns with the round. Writes all samples to .hearth/bench/, a full run also docs/benchmarks.md.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmark import chart, processes, report, servers, stamp, workload
from benchmark.report import Run, Sample

from server.engine_envs import python_for
from server.settings_sources import load_settings

FOLDER = Path(".hearth/bench")
DOCS = servers.ROOT / "docs"
CLIENT = "import benchmark.client; benchmark.client.main()"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that both servers are stopped then, too
    loads = [workload.quick(load) for load in workload.LOADS] if options.quick else list(workload.LOADS)
    num_rounds = 1 if options.quick else options.rounds
    folder = FOLDER.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    engines_python = python_for("vllm_chat", load_settings())
    with ExitStack() as running:
        print("Starting Hearth, then vllm serve", flush=True)
        contestants = [
            running.enter_context(start(options.model.resolve(), folder, engines_python))
            for start in (servers.hearth, servers.peer)
        ]
        run = Run(
            date=stamp.now(),
            commit=stamp.commit(),
            command=" ".join(
                ["python", "scripts/bench.py", *(sys.argv[1:] if arguments is None else arguments)]
            ),
            machine=stamp.machine(),
            model=options.model.name if options.model.is_absolute() else str(options.model),
            commands={server.name: server.command for server in contestants},
            loads=loads,
            samples=[],
        )
        for server in contestants:
            for load in loads:
                _measure(server, workload.quick(load), "warm-up")
        for number in range(num_rounds):
            for load in (load for load in loads if number % load.every == 0):
                turn = contestants if number % 2 == 0 else contestants[::-1]
                run.samples.extend(_measured(server, load, number) for server in turn)
    _publish(run, folder, is_full=not options.quick)


def _measured(server: servers.Server, load: workload.Load, number: int) -> Sample:
    sample = _measure(server, load, f"round {number}")
    print(f"  round {number + 1}  {load.title:34} {server.name:11} {report.brief(sample)}", flush=True)
    return sample


def _measure(server: servers.Server, load: workload.Load, seed: str) -> Sample:
    """One load on one server, in a client of its own."""
    job = {
        "port": server.port,
        "path": server.path,
        "key": server.key,
        "num_clients": load.num_clients,
        "stream": load.stream,
        "bodies": [body.decode() for body in workload.bodies(load, seed)],
    }
    load_average = processes.load_average()
    before = processes.sample(server.pid)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT],
        input=json.dumps(job),
        cwd=Path(__file__).resolve().parent,
        capture_output=True,
        text=True,
        check=False,
    )
    after = processes.sample(server.pid)
    if done.returncode != 0:
        sys.exit(f"{server.name}, {load.title}: {done.stderr}")
    return Sample(
        server=server.name,
        load=load.name,
        client=json.loads(done.stdout),
        cpu_s=processes.used(before, after),
        machine_cpu_s=after.machine_s - before.machine_s,
        load_average=load_average,
    )


def _publish(run: Run, folder: Path, *, is_full: bool) -> None:
    results = folder / f"{stamp.file_name(run.date)}.json"
    results.write_text(json.dumps(asdict(run), indent=1))
    print(f"\n{report.tables(run)}\nEverything measured: {results}")
    if is_full:
        page = DOCS / "benchmarks.md"
        page.write_text(report.insert(page.read_text(), report.tables(run), "bench"))
        (DOCS / "benchmarks.svg").write_text(chart.render(run))
        print(f"Written: {page}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Hearth against vLLM's own server.")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    parser.add_argument("--rounds", type=int, default=15, help="how often each load is given to each server")
    parser.add_argument("--model", type=Path, default=Path("model_configs/starter/chat"), help="its folder")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
