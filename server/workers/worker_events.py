"""What workers tell, each as an event of the scheduler."""

import asyncio
import time
from collections.abc import Callable, Mapping, MutableMapping

from engines.contract.frames import Asleep, Awake, Progress, Ready
from engines.contract.spec import BackendSpec
from server.telemetry import log_event
from server.workers.actions import Action
from server.workers.channel import ResidencyFrame
from server.workers.ending import name_them, wait_for_survivors
from server.workers.feed import Feed
from server.workers.measuring import freed_bytes
from server.workers.process import WorkerProcess
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from server.workers.swaps import Swaps

LOOK_FOR_SURVIVORS_EVERY_S = 1.0
PHASE_STATES = {
    "importing": WorkerState.STARTING,
    "loading": WorkerState.LOADING,
    "compiling": WorkerState.LOADING,
    "warming": WorkerState.WARMING,
}


class WorkerEvents:
    """The listener of every worker. `apply` carries out what the scheduler makes of an event.

    `workers` are those that have a process, by the key of their record; who has ended is taken out of it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: MutableMapping[str, WorkerProcess],
        swaps: Swaps,
        feed: Feed,
        *,
        apply: Callable[[list[Action]], None],
        on_load: Callable[[BackendSpec, float], None],
    ) -> None:
        self._scheduler = scheduler
        self._workers = workers
        self._swaps = swaps
        self._feed = feed
        self._apply = apply
        self._on_load = on_load
        self.watches: set[asyncio.Task[None]] = set()  # for survivors; to be cancelled at the end

    def on_progress(self, worker: WorkerProcess, frame: Progress) -> None:
        log_event("worker.progress", backend=worker.backend_id, phase=frame.phase, detail=frame.detail)
        state = PHASE_STATES[frame.phase]
        self._scheduler.on_progress(time.monotonic(), worker.backend_id, state, frame.detail)
        self._feed.tell()

    def on_ready(self, worker: WorkerProcess, frame: Ready) -> None:
        log_event("worker.ready", backend=worker.backend_id, load_s=round(frame.load_s, 1))
        self._on_load(worker.spec, frame.load_s)
        now, backend_id = time.monotonic(), worker.backend_id
        self._apply(self._scheduler.on_ready(now, backend_id, frame.load_s, frame.sleep_levels))

    def on_residency(self, worker: WorkerProcess, frame: ResidencyFrame) -> None:
        """The worker has fallen asleep, is awake, or did neither."""
        now, backend_id = time.monotonic(), worker.backend_id
        if isinstance(frame, Asleep):
            log_event(
                "worker.asleep", backend=backend_id, level=frame.level, duration_s=round(frame.took_s, 3)
            )
            self._apply(
                self._scheduler.on_asleep(
                    now, backend_id, freed_bytes(frame, self._scheduler.records[backend_id].devices)
                )
            )
        elif isinstance(frame, Awake):
            log_event("worker.awake", backend=backend_id, duration_s=round(frame.took_s, 3))
            self._apply(self._scheduler.on_awake(now, backend_id, frame.took_s))
        elif not frame.is_fatal:  # else the worker ends, which is told by `on_exit`
            log_event("worker.sleepless", backend=backend_id, reason=frame.message)
            self._apply(self._scheduler.on_sleep_refused(now, backend_id, frame.message))

    def on_hang_up(self, worker: WorkerProcess) -> None:
        self._scheduler.on_hang_up(worker.backend_id)

    def on_survivors(self, worker: WorkerProcess, survivors: Mapping[int, str]) -> None:
        """What they hold stays in the ledger until they are gone."""
        if worker.pid is None:
            return
        self._scheduler.on_survivors(worker.backend_id, worker.pid, name_them(survivors))
        watch = self._await_survivors(worker.pid)
        self.watches.add(asyncio.create_task(watch, name=f"survivors of {worker.backend_id}"))

    async def _await_survivors(self, group_id: int) -> None:
        await wait_for_survivors(group_id, LOOK_FOR_SURVIVORS_EVERY_S)
        self._apply(self._scheduler.on_survivors_gone(time.monotonic(), group_id))

    def on_exit(self, worker: WorkerProcess, error: str | None, permanent: bool) -> None:
        del self._workers[worker.backend_id]
        now, told = time.monotonic(), worker.told_error
        self._apply(
            self._scheduler.on_exit(now, worker.backend_id, error, permanent=permanent, told_error=told)
        )
        self._swaps.note_exit(worker)
