"""Measures embeddings, images, transcription and speech over HTTP against the bare libraries: the same models, work
and threads, loads in turn, on one machine.

    make bench
    python scripts/bench_modalities.py --quick
    python scripts/bench_modalities.py --only embed,speech --rounds 9

One modality after the other. Its contestants are up all the time, only one is ever under load. Each round gives all the
same work, in an order that turns with the round. Writes all samples to .hearth/bench/, a full run also the part of
docs/benchmarks.md.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark import embed, image, report, servers, speech, stamp, transcribe
from benchmark.comparison import comparison, same_share
from benchmark.contestants import Contestant, Sample
from benchmark.modality import Load, Modality

FOLDER = Path(".hearth/bench")
PAGE = servers.ROOT / "docs/benchmarks.md"
MODALITIES = {"embed": embed, "image": image, "transcribe": transcribe, "speech": speech}


@dataclass(frozen=True)
class Head:
    """What a run's figures are to be read with."""

    date: str
    commit: str
    command: str
    machine: str
    num_rounds: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whoever was started is stopped then, too
    num_rounds = 1 if options.quick else options.rounds
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python", "scripts/bench_modalities.py", *given])
    head = Head(stamp.now(), stamp.commit(), command, stamp.machine(), num_rounds)
    measured: dict[str, list[Sample]] = {}
    texts: list[str] = []
    for name in options.only:
        folder = FOLDER.resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        modality = MODALITIES[name].modality(folder, is_quick=options.quick)
        measured[name] = measure(modality, num_rounds, is_quick=options.quick)
        texts.append(section(modality, measured[name]))
        print(f"\n{texts[-1]}\n", flush=True)
    _publish(head, measured, texts, is_full=not options.quick and set(options.only) == set(MODALITIES))


def measure(modality: Modality, num_rounds: int, *, is_quick: bool) -> list[Sample]:
    """Every load on all of its contestants in every round."""
    loads = [load.quick() if is_quick else load for load in modality.loads]
    samples: list[Sample] = []
    with ExitStack() as running:
        print(f"{modality.title}: starting", flush=True)
        contestants = modality.start(running)
        for load in (load for load in loads if load.every == 1):
            _do(contestants, load.quick(), "warm-up")
        for number in range(num_rounds):
            place = number % len(contestants)
            turn = [*contestants[place:], *contestants[:place]]
            for load in (load for load in loads if number % load.every == 0):
                samples += _do(turn, load, f"round {number}")
            print(f"  round {number + 1} of {num_rounds}", flush=True)
    return samples


def _do(contestants: Sequence[Contestant], load: Load, seed: str) -> list[Sample]:
    work = load.work(seed, load)
    return [each.do(load.name, work) for each in contestants if each.name in load.contestants]


def section(modality: Modality, samples: Sequence[Sample]) -> str:
    """A modality's table, and what it is to be read with."""
    lines = [f"### {modality.title}", "", comparison(modality.rows, samples), ""]
    for load, what in modality.same:
        lines.append(f"- Same on both sides: {same_share(load, samples):.0%} of {what}.")
    return "\n".join([*lines, "- " + report.noise(samples)])


def _publish(head: Head, measured: dict[str, list[Sample]], texts: Sequence[str], *, is_full: bool) -> None:
    results = FOLDER / f"modalities-{stamp.file_name(head.date)}.json"
    samples = {name: [asdict(sample) for sample in found] for name, found in measured.items()}
    results.write_text(json.dumps(asdict(head) | {"samples": samples}, indent=1))
    print(f"Everything measured: {results}")
    if is_full:
        top = f"- {head.date}, commit {head.commit}: `{head.command}`, {head.num_rounds} rounds.\n- {head.machine}."
        PAGE.write_text(report.insert(PAGE.read_text(), "\n\n".join([top, *texts]) + "\n", "modalities"))
        print(f"Written: {PAGE}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure each modality against its bare library.")
    parser.add_argument("--only", type=_names, default=list(MODALITIES), help="of " + ",".join(MODALITIES))
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    parser.add_argument("--rounds", type=int, default=5, help="how often each load is given to each")
    return parser.parse_args(arguments)


def _names(given: str) -> list[str]:
    names = given.split(",")
    if unknown := [name for name in names if name not in MODALITIES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(MODALITIES)}")
    return names


if __name__ == "__main__":
    main()
