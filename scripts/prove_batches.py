"""Kills servers, cuts their power and crashes their database while batches run, and checks what became of every line.

    python scripts/prove_batches.py
    python scripts/prove_batches.py --long --postgresql --publish

Prints a table whose bold rows must be 0, and exits with 1 if one is not. Everything that was asked and answered stays
in .hearth/proof/. Needs Linux; power cuts need FUSE 3 and root, the run with PostgreSQL needs Debian's package.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark import stamp
from benchmark.report import insert
from proof import disk, named_points, power_points, random_kills, report, two_servers
from proof.checker import Verdict
from proof.site import ROOT, Nursery

FOLDER = Path(".hearth/proof")
TELL_EVERY = 10
PART = "proof"
Run = Callable[[Nursery, Path], Verdict]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    folder = FOLDER.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    verdicts: dict[str, Verdict] = {}
    nursery = Nursery()
    try:
        for title, run in _chosen(options).items():
            verdicts[title] = _timed(title, run, nursery, folder / title.replace(" ", "-"))
    finally:
        nursery.close()
    text = _text(verdicts, arguments, options.seed)
    print(f"\n{text}\n{report.findings(verdicts)}")
    if options.publish:
        page = ROOT / "docs/benchmarks.md"
        page.write_text(insert(page.read_text(), text, PART))
    sys.exit(0 if all(verdict.is_clean for verdict in verdicts.values()) else 1)


def _chosen(options: argparse.Namespace) -> Mapping[str, Run]:
    runs: dict[str, Run] = {}
    seed, is_long = options.seed, options.long
    if options.kills:
        runs["kill -9"] = lambda nursery, folder: random_kills.run(
            nursery, folder, num_strikes=options.kills, seed=seed, tell=_tell
        )
    if not options.no_points:
        runs["kill -9 at named points"] = lambda nursery, folder: named_points.run(
            nursery, folder, seed=seed, is_long=is_long, tell=lambda text: print(f"  {text}", flush=True)
        )
    if options.power_cuts and not options.no_points:
        runs["power cut at each sync"] = lambda nursery, folder: power_points.run(
            nursery, folder, seed=seed, every=1 if is_long else 3, tell=_tell
        )
    if options.power_cuts:
        runs["power cut"] = lambda nursery, folder: random_kills.run(
            nursery, folder, num_strikes=options.power_cuts, seed=seed, with_power_cuts=True, tell=_tell
        )
    if options.postgresql:
        runs["two servers, PostgreSQL"] = lambda nursery, folder: two_servers.run(
            nursery, folder, num_strikes=100 if is_long else 20, seed=seed, tell=_tell
        )
    return runs


def _timed(title: str, run: Run, nursery: Nursery, folder: Path) -> Verdict:
    begun_at = time.monotonic()
    print(f"{title} ...", flush=True)
    verdict = run(nursery, folder)
    print(f"{title}: {report.num_strikes(verdict)} in {time.monotonic() - begun_at:.0f} s", flush=True)
    return verdict


def _tell(number: int) -> None:
    if number % TELL_EVERY == 0:
        print(f"  {number}", flush=True)


def _text(verdicts: Mapping[str, Verdict], arguments: Sequence[str] | None, seed: int) -> str:
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python", "scripts/prove_batches.py", *given])
    heading = f"- {stamp.now()}, commit {stamp.commit()}: `{command}`, seed {seed}.\n- {stamp.machine()}."
    return f"{heading}\n\n{report.table(verdicts)}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill servers while batches run; check every line.")
    parser.add_argument("--kills", type=int, help="strikes at random moments; 200, with --long 1000")
    parser.add_argument("--power-cuts", type=int, help="on a disk that forgets; 50, with --long 200")
    parser.add_argument("--no-points", action="store_true", help="leave out named points and single syncs")
    parser.add_argument("--postgresql", action="store_true", help="also two servers on one PostgreSQL")
    parser.add_argument("--long", action="store_true", help="more of all, every scenario at every point")
    parser.add_argument("--seed", type=int, default=1, help="draws batches, moments and victims")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.kills is None:
        options.kills = 1000 if options.long else 200
    if options.power_cuts is None:
        options.power_cuts = 200 if options.long else 50
    if options.power_cuts and (reason := disk.missing()):
        parser.error(f"no power cuts here ({reason}): say --power-cuts 0")
    return options


if __name__ == "__main__":
    main()
