"""Kills servers, cuts their power and restarts their database while batches run, and checks what became of every line.

    python scripts/prove_batches.py
    python scripts/prove_batches.py --kills 1000 --power-cuts 200 --postgresql --long

Prints a table whose bold rows must be 0, and exits with 1 if one is not. Everything that was asked and answered stays
in .hearth/proof/. Needs Linux; power cuts need FUSE 3 and root, the PostgreSQL run Debian's package.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from proof import random_kills, report
from proof.checker import Verdict
from proof.site import Nursery

FOLDER = Path(".hearth/proof")
TELL_EVERY = 10


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    folder = FOLDER.resolve()
    nursery, verdicts = Nursery(), dict[str, Verdict]()
    try:
        if options.kills:
            verdicts["kill -9"] = _timed(
                "kills",
                lambda: random_kills.run(
                    nursery, folder / "kills", num_strikes=options.kills, seed=options.seed, tell=_tell
                ),
            )
        if options.power_cuts:
            verdicts["power cut"] = _timed(
                "power cuts",
                lambda: random_kills.run(
                    nursery,
                    folder / "power",
                    num_strikes=options.power_cuts,
                    seed=options.seed,
                    with_power_cuts=True,
                    tell=_tell,
                ),
            )
    finally:
        nursery.close()
    print(
        f"\n`{_command(arguments)}`, seed {options.seed}\n\n{report.table(verdicts)}{report.findings(verdicts)}"
    )
    sys.exit(0 if all(verdict.is_clean for verdict in verdicts.values()) else 1)


def _timed(title: str, run: Callable[[], Verdict]) -> Verdict:
    begun_at = time.monotonic()
    print(f"{title} ...", flush=True)
    verdict = run()
    print(f"{title}: {report.num_strikes(verdict)} in {time.monotonic() - begun_at:.0f} s", flush=True)
    return verdict


def _tell(left: int) -> None:
    if left % TELL_EVERY == 0:
        print(f"  {left} to go", flush=True)


def _command(arguments: Sequence[str] | None) -> str:
    given = sys.argv[1:] if arguments is None else arguments
    return " ".join(["python", "scripts/prove_batches.py", *given])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill servers while batches run; check every line.")
    parser.add_argument("--kills", type=int, default=200, help="strikes at random moments")
    parser.add_argument(
        "--power-cuts", type=int, default=50, help="on a disk that forgets what was not synced"
    )
    parser.add_argument("--postgresql", action="store_true", help="also two servers on one PostgreSQL")
    parser.add_argument("--long", action="store_true", help="every fail point at every occurrence")
    parser.add_argument("--seed", type=int, default=1, help="draws batches, moments and victims")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
