"""The run with strikes at random moments: kills, or power cuts on a disk of its own."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from proof.checker import Verdict, check
from proof.crowd import Crowd, read_everything
from proof.disk import Disk, mounted
from proof.events import Journal, Surprise, read
from proof.nemesis import Nemesis
from proof.progress import Progress
from proof.site import NotReadyError, Nursery, Site, running
from proof.workload import Workload

MODELS = {"fake/fast": 0.002, "fake/slow": 0.01}
NUM_CLIENTS = 3
SETTLE_S = 60.0
STUCK_SETTLE_S = 5.0


def run(
    nursery: Nursery,
    folder: Path,
    *,
    num_strikes: int,
    seed: int,
    with_power_cuts: bool = False,
    settings: Mapping[str, str] = {},
    tell: Callable[[int], None] = lambda left: None,
) -> Verdict:
    """All of it, below `folder`; the journal stays there."""
    with _journal(folder) as journal, _data_dir(folder, with_power_cuts) as (data_dir, disk):
        site = Site(nursery, folder, data_dir=data_dir, **settings)
        for name, token_delay_s in MODELS.items():
            site.add_backend(name, token_delay_s)
        progress = Progress()
        workload = Workload(seed, list(MODELS))
        crowd = Crowd([site], journal, progress, workload=workload, seed=seed, num_threads=NUM_CLIENTS)
        with running(site):
            site.start()
            crowd.start()

            def goes_on(left: int) -> bool:
                tell(left)
                return crowd.is_working

            nemesis = Nemesis(site, journal, progress, seed=seed, disk=disk)
            try:
                nemesis.strike(num_strikes, goes_on)
            except NotReadyError as error:
                journal.write(Surprise(f"the server did not start: {error}"))
            settle_s = STUCK_SETTLE_S if nemesis.is_stuck else SETTLE_S
            crowd.finish(settle_s)
            _read_over_a_restart(site, journal, settle_s)
        journal.flush()
        return check(read(journal.path))


def _read_over_a_restart(site: Site, journal: Journal, settle_s: float) -> None:
    for _ in itertools.repeat(None, 2):
        if site.is_running:
            site.stop()
        try:
            site.start()
        except NotReadyError as error:
            journal.write(Surprise(f"the server did not start: {error}"))
            return
        read_everything([site], journal, timeout_s=settle_s)


@contextlib.contextmanager
def _journal(folder: Path) -> Iterator[Journal]:
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "journal.jsonl")
    try:
        yield journal
    finally:
        journal.close()


@contextlib.contextmanager
def _data_dir(folder: Path, with_power_cuts: bool) -> Iterator[tuple[Path, Disk | None]]:
    """The data folder, and the disk under it if its power can be cut."""
    if not with_power_cuts:
        yield folder / "data", None
        return
    with mounted(folder / "disk", folder / "disk.log") as disk:
        (disk.folder / "data").mkdir()
        disk.sync()  # the folder has long been there; what the server makes in it is the server's
        yield disk.folder / "data", disk
