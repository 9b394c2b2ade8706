"""Strikes one server at random moments and lets it start again. Knows no batch."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

from proof.disk import Disk
from proof.events import Journal, Resumed, Struck
from proof.progress import Progress
from proof.site import Site

RESUME_S = 10.0
MOST_STUCK = 2  # a server that has not resumed so often in a row will not be struck again
KINDS = {"server": 0.5, "worker": 0.2, "both": 0.2, "pause": 0.1}


class Nemesis:
    """A strike is one of KINDS: SIGKILL of the server, of a worker, of both, or a worker stopped for a while. On a
    disk of its own each strike is a power cut.
    """

    def __init__(
        self, site: Site, journal: Journal, progress: Progress, *, seed: int, disk: Disk | None = None
    ) -> None:
        self._site = site
        self._journal = journal
        self._progress = progress
        self._chance = random.Random(seed)
        self._disk = disk
        self._worker_deaths = 0
        self._num_stuck = 0
        self._is_measured = False

    @property
    def is_stuck(self) -> bool:
        """Whether the server was given up."""
        return self._num_stuck >= MOST_STUCK

    def strike(self, num_strikes: int, goes_on: Callable[[int], bool]) -> None:
        """The server is ready before and after. `goes_on` is told how many are left. Raises NotReadyError."""
        while num_strikes > 0 and not self.is_stuck and goes_on(num_strikes):
            self._wait_for_a_moment()
            kind = self._choose()
            if kind in ("worker", "pause") and not self._hit_a_worker(kind):
                continue
            num_strikes -= 1
            if kind == "power":
                self._cut_power()
            elif kind in ("server", "both"):
                self._kill_server(with_workers=kind == "both")
        self.measure_resumption()

    def measure_resumption(self) -> None:
        """Once a life: wait for the first line that is recorded in it."""
        if self._is_measured:
            return
        self._is_measured = True
        moved_at = self._progress.wait(RESUME_S)
        self._journal.write(Resumed(None if moved_at is None else max(0.0, moved_at - self._site.ready_at)))
        self._num_stuck = 0 if moved_at is not None else self._num_stuck + 1

    def _choose(self) -> str:
        if self._disk is not None:
            return "power"
        (kind,) = self._chance.choices(list(KINDS), list(KINDS.values()))
        return "server" if kind in ("worker", "pause") and self._worker_deaths >= 2 else kind

    def _wait_for_a_moment(self) -> None:
        """Most lives last until the server has resumed, and a little longer; some end while it takes up its work."""
        if self._chance.random() < 0.3:
            time.sleep(self._chance.uniform(0.0, 0.3))
            return
        if self._worker_deaths == 0:
            self.measure_resumption()
        time.sleep(self._chance.uniform(0.0, 0.4))

    def _hit_a_worker(self, kind: str) -> bool:
        """Whether there was one. A worker that is restarted several times in a life is restarted ever more slowly."""
        workers = self._site.workers()
        if not workers:
            return False
        victim = self._chance.choice(workers)
        with contextlib.suppress(ProcessLookupError):
            self._journal.write(Struck(kind))
            self._worker_deaths += 1
            if kind == "worker":
                os.kill(victim, signal.SIGKILL)
            else:
                os.kill(victim, signal.SIGSTOP)
                time.sleep(self._chance.choice((0.1, 0.5, 3.0)))  # the last outlives the heartbeat's limit
                os.kill(victim, signal.SIGCONT)
        return True

    def _kill_server(self, *, with_workers: bool) -> None:
        self._journal.write(Struck("both" if with_workers else "server"))
        self._site.kill(with_workers=with_workers)
        self._start()

    def _cut_power(self) -> None:
        self._journal.write(Struck("power"))
        self._site.kill(with_workers=True)
        if self._disk is not None:
            self._disk.cut_power(self._chance.randrange(1 << 30) if self._chance.random() < 0.5 else None)
        self._start()

    def _start(self) -> None:
        """One start in ten is killed before it is done."""
        self._worker_deaths = 0
        if self._chance.random() < 0.1:
            self._site.launch()
            time.sleep(self._chance.uniform(0.0, 0.15))
            self._journal.write(Struck("server", "start"))
            self._site.kill(with_workers=True)
            if self._disk is not None:
                self._disk.cut_power()
        self._progress.restart()
        self._is_measured = False
        self._site.start()
