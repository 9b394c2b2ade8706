"""How many acknowledged commits SQLite loses in power cuts, by `synchronous`. Run as a program it prints a table.

PYTHONPATH=scripts python -m proof.sqlite_cuts [CUTS]
"""

import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from proof.disk import Disk, mounted

LEVELS = ("OFF", "NORMAL", "FULL", "EXTRA")
_START_S = 0.05  # of the writing process
_WRITER = """\
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("PRAGMA journal_mode = DELETE")
store.execute(f"PRAGMA synchronous = {sys.argv[2]}")
number = int(sys.argv[3])
while True:
    number += 1
    store.execute("INSERT INTO acknowledged VALUES (?, ?)", (number, "x" * (number * 37 % 6000)))
    print(number, flush=True)
"""


@dataclass
class Losses:
    """`unknown` is what was found without having been acknowledged: at most one a cut may be."""

    acknowledged: int = 0
    lost: int = 0
    unknown: int = 0
    cuts_with_losses: int = 0
    damaged: int = 0


def measure(disk: Disk, synchronous: str, *, num_cuts: int, seed: int = 0) -> Losses:
    """Cut the power at random moments while a process commits one row at a time. Every second cut tears."""
    chance = random.Random(seed)
    store = disk.folder / f"{synchronous}.db"
    _create(store, disk)
    losses = Losses()
    for number in range(num_cuts):
        last, acknowledged = _last(store), _write_and_kill(store, synchronous, chance.uniform(0.02, 0.1))
        disk.cut_power(chance.randrange(1 << 30) if number % 2 else None)
        found = _find(store, last)
        if found is None:
            losses.damaged += 1
            store.unlink()
            _create(store, disk)
            continue
        gone = acknowledged - found
        losses.acknowledged += len(acknowledged)
        losses.lost += len(gone)
        losses.unknown += len(found - acknowledged)
        losses.cuts_with_losses += bool(gone)
    return losses


def _create(store: Path, disk: Disk) -> None:
    """The empty table is durable."""
    store.with_name(store.name + "-journal").unlink(missing_ok=True)
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("CREATE TABLE acknowledged (number INTEGER PRIMARY KEY, filling TEXT)")
    connection.close()


def _write_and_kill(store: Path, synchronous: str, after_s: float) -> set[int]:
    """The numbers that were acknowledged."""
    command = [sys.executable, "-c", _WRITER, str(store), synchronous, str(_last(store))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        time.sleep(_START_S + after_s)
        writer.kill()
        printed, _ = writer.communicate()
    return {int(line) for line in printed.splitlines(keepends=True) if line.endswith("\n")}


def _last(store: Path) -> int:
    connection = sqlite3.connect(store)
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM acknowledged").fetchone()
    connection.close()
    return int(last)


def _find(store: Path, after: int) -> set[int] | None:
    """The numbers above `after`, None if the file is damaged."""
    connection = sqlite3.connect(store)
    try:
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            return None
        rows = connection.execute("SELECT number FROM acknowledged WHERE number > ?", (after,)).fetchall()
    except sqlite3.DatabaseError:
        return None
    finally:
        connection.close()
    return {number for (number,) in rows}


def main() -> None:
    num_cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(
        f"SQLite {sqlite3.sqlite_version}, journal_mode DELETE, {num_cuts} cuts each, every second one torn"
    )
    print("synchronous  acknowledged  lost  cuts with losses  not acknowledged  damaged")
    with tempfile.TemporaryDirectory() as folder, mounted(Path(folder, "disk"), Path(folder, "log")) as disk:
        for level in LEVELS:
            found = measure(disk, level, num_cuts=num_cuts)
            print(
                f"{level:11}  {found.acknowledged:12}  {found.lost:4}  {found.cuts_with_losses:16}"
                f"  {found.unknown:16}  {found.damaged:7}"
            )


if __name__ == "__main__":
    main()
