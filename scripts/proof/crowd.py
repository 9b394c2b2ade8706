"""Threads that keep batches under way until told to stop, and the last reading of everything. Knows no kill."""

import contextlib
import threading
import time
from collections.abc import Sequence

from proof.api import Address
from proof.checker import History
from proof.client import Client, GaveUp, Unacknowledged, has_ended
from proof.events import Journal, read
from proof.progress import Progress
from proof.workload import Workload

MOST_GIVEN_UP = 10  # a server that has lost something is not asked for more


class Crowd:
    """Each thread carries one batch at a time from plan to files; now and then one is cancelled or abandoned."""

    def __init__(
        self,
        servers: Sequence[Address],
        journal: Journal,
        progress: Progress,
        *,
        workload: Workload,
        seed: int,
        num_threads: int,
    ) -> None:
        self._is_over = threading.Event()
        self._gives_up = threading.Event()
        self._workload = workload
        self._progress = progress
        self._drawing = threading.Lock()
        self._threads = []
        for number in range(num_threads):
            seed_of_thread = seed * 1000 + number
            client = Client(servers, journal, progress, seed=seed_of_thread, ends=self._gives_up)
            self._threads.append(threading.Thread(target=self._work, args=(client,), daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_working(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def finish(self, timeout_s: float) -> None:
        """Begin nothing new; what runs may take so long."""
        self._is_over.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._gives_up.set()
        for thread in self._threads:
            thread.join(60.0)

    def _work(self, client: Client) -> None:
        num_given_up = 0
        while not self._is_over.is_set() and num_given_up < MOST_GIVEN_UP:
            try:
                self._carry_one_through(client)
            except GaveUp:
                num_given_up += 1
        if num_given_up == MOST_GIVEN_UP:
            self._progress.give_up()

    def _carry_one_through(self, client: Client) -> None:
        with self._drawing:
            submission = self._workload.draw()
        is_abandoned = client.chance.random() < 0.1
        try:
            batch_id = client.submit(submission, num_calls=1 if is_abandoned else None)
        except Unacknowledged:
            return
        if client.chance.random() < 0.15:
            client.watch(batch_id, lambda seen: seen.counts.done >= len(submission.lines) // 3)
            client.cancel(batch_id)
        client.watch(batch_id, has_ended)
        client.download(batch_id)


def read_everything(servers: Sequence[Address], journal: Journal, *, timeout_s: float) -> None:
    """Wait for the end of whatever there is, then look at every batch and file that was ever acknowledged or seen."""
    ends = threading.Event()
    timer = threading.Timer(timeout_s, ends.set)
    timer.start()
    client = Client(servers, journal, Progress(), seed=0, ends=ends)
    try:
        with contextlib.suppress(GaveUp):
            client.list_batches()
        journal.flush()
        history = History(read(journal.path))
        acknowledged = {batch for batches in history.acknowledged.values() for batch in batches}
        for batch_id in sorted(acknowledged | set(history.observed)):
            with contextlib.suppress(GaveUp):
                client.observe(batch_id)
                client.download(batch_id)
        for file_id in history.files:
            with contextlib.suppress(GaveUp):
                client.read_file(file_id)
    finally:
        timer.cancel()
