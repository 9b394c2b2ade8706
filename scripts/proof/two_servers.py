"""The run with two servers on one PostgreSQL and one folder of files. One is killed, frozen past its lease and woken,
or the database crashes and comes back, while both have work.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from proof.checker import Verdict, check
from proof.crowd import Crowd, read_everything
from proof.events import Journal, Resumed, Struck, Surprise, read
from proof.outcomes import watched
from proof.progress import Progress
from proof.random_kills import SETTLE_S
from proof.site import NotReadyError, Nursery, Site, running
from proof.workload import Workload
from tests.fakes.postgresql import Cluster

LEASE_S = 10.0  # of the server's runner
RESUME_S = 10.0
KINDS = {"server": 0.5, "worker": 0.1, "database": 0.25, "freeze": 0.15}
MODELS = {"fake/fast": 0.01, "fake/slow": 0.04}  # slow enough that both servers always have work
NUM_CLIENTS = 6


def run(
    nursery: Nursery,
    folder: Path,
    *,
    num_strikes: int,
    seed: int,
    tell: Callable[[int], None] = lambda left: None,
) -> Verdict:
    """All of it, with a cluster of its own; the first strikes are one of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster()
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal, contextlib.ExitStack() as undo:
        undo.callback(cluster.remove)
        settings = {"database_url": cluster.new_database(), "files_dir": str(folder / "files")}
        folders = [folder / name for name in ("one", "two")]
        sites = [Site(nursery, site, data_dir=site / "data", **settings) for site in folders]
        for site in sites:
            for name, token_delay_s in MODELS.items():
                site.add_backend(name, token_delay_s)
        undo.enter_context(running(*sites))
        sites[0].start()
        sites[1].key = sites[0].key
        sites[1].start()
        undo.enter_context(watched(settings["database_url"], journal))
        try:
            _strike_and_read(cluster, sites, journal, num_strikes=num_strikes, seed=seed, tell=tell)
        except NotReadyError as error:
            journal.write(Surprise(f"a server did not start: {error}"))
        journal.flush()
        return check(read(journal.path))


def _strike_and_read(
    cluster: Cluster,
    sites: list[Site],
    journal: Journal,
    *,
    num_strikes: int,
    seed: int,
    tell: Callable[[int], None],
) -> None:
    progress = Progress()
    workload = Workload(seed, list(MODELS), num_lines=(100, 400))
    crowd = Crowd(sites, journal, progress, workload=workload, seed=seed, num_threads=NUM_CLIENTS)
    crowd.start()
    chance = random.Random(seed)
    striker = _Striker(cluster, sites, journal, progress, chance)
    for number in range(num_strikes):
        if not crowd.is_working:
            break
        tell(num_strikes - number)
        time.sleep(chance.uniform(0.2, 1.0))
        kinds = list(KINDS)
        striker.strike(
            kinds[number] if number < len(kinds) else chance.choices(kinds, list(KINDS.values()))[0]
        )
    crowd.finish(SETTLE_S)
    for site in sites:
        site.stop()
    for site in sites:
        site.start()
        read_everything([site], journal, timeout_s=SETTLE_S)


class _Striker:
    def __init__(
        self, cluster: Cluster, sites: list[Site], journal: Journal, progress: Progress, chance: random.Random
    ) -> None:
        self._cluster = cluster
        self._sites = sites
        self._journal = journal
        self._progress = progress
        self._chance = chance

    def strike(self, kind: str) -> None:
        """Both servers run before and after."""
        site = self._chance.choice(self._sites)
        if kind == "worker" and not site.workers():
            kind = "server"
        self._journal.write(Struck(kind))
        match kind:
            case "server":
                site.kill(with_workers=self._chance.random() < 0.5)
                time.sleep(self._chance.uniform(0.0, 1.0))
                site.start()
            case "worker":
                os.kill(self._chance.choice(site.workers()), signal.SIGKILL)
            case "database":
                self._crash_the_database()
            case "freeze":
                os.kill(site.pid, signal.SIGSTOP)
                time.sleep(LEASE_S + self._chance.uniform(1.0, 3.0))
                os.kill(site.pid, signal.SIGCONT)

    def _crash_the_database(self) -> None:
        self._cluster.stop("immediate")
        time.sleep(self._chance.uniform(0.0, 1.5))
        self._cluster.start()
        self._progress.restart()
        back_at = time.monotonic()
        moved_at = self._progress.wait(RESUME_S)
        self._journal.write(Resumed(None if moved_at is None else moved_at - back_at))
