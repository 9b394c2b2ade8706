"""Owns every worker: carries out what the scheduler decides and tells it what happened.

All state changes are synchronous calls on the event loop's thread, so nothing is ever read, awaited upon and
then acted on. Loading and stopping run aside and come back as events.
"""

import asyncio
import contextlib
import datetime
import itertools
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any

import msgspec

from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from server.workers.actions import (
    Action,
    Grant,
    ProbeWorker,
    Refuse,
    SleepWorker,
    StartWorker,
    StopWorker,
    WakeWorker,
    shutting_down,
)
from server.workers.alarm import Alarm
from server.workers.backoff import RestartPolicy
from server.workers.channel import Channel
from server.workers.feed import Feed
from server.workers.gpu_memory import ByGroup
from server.workers.health import BackendHealth, Outcome, check, health_of
from server.workers.ledger import NO_BOUNDS, Memory, Need
from server.workers.measuring import Meter
from server.workers.occupancy import Occupancy, occupancy
from server.workers.planning import Plan, plan
from server.workers.process import LaunchPlan, Timeouts, WorkerProcess
from server.workers.record import Record, Stage
from server.workers.replacements import owner_of
from server.workers.scheduler import Scheduler
from server.workers.status import BackendStatus, Change, DeviceStatus, StateChange, WorkerState
from server.workers.swaps import Accept, Swaps
from server.workers.views import backend_status, device_statuses
from server.workers.worker_events import WorkerEvents

MEASURE_EVERY_S = 1.0


class Supervisor:
    """Leases on workers of the given backends. `async with` it: leaving ends every worker.

    `plan_launch` says how a backend's worker is started; it raises EngineError when that is impossible.
    """

    def __init__(
        self,
        specs: Iterable[BackendSpec],
        plan_launch: Callable[[BackendSpec], LaunchPlan],
        *,
        policy: RestartPolicy | None = None,
        timeouts: Timeouts | None = None,
        memory: Memory = NO_BOUNDS,
        read_free: Callable[[], Mapping[str, int]] = dict,
        on_peak: Callable[[str, int], None] = lambda backend_id, size_bytes: None,
        read_gpus: Callable[[], ByGroup] = dict,
        on_load: Callable[[BackendSpec, float], None] = lambda spec, load_s: None,
    ) -> None:
        self._started_at = datetime.datetime.now(datetime.UTC)
        self._start_clock = time.monotonic()
        self._scheduler = Scheduler(
            specs, policy or RestartPolicy(), random.random, self._start_clock, memory=memory
        )
        self._read_free = read_free
        self._on_peak = on_peak
        self.feed = Feed(self._states)
        self._plan_launch = plan_launch
        self._timeouts = timeouts or Timeouts()
        self._tickets = itertools.count(1)
        self._wanted: dict[int, asyncio.Future[Channel]] = {}
        self._workers: dict[str, WorkerProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm = Alarm(self._tick)
        self._meter = Meter(read_gpus)
        self._swaps = Swaps(self._scheduler, self._workers, self._apply, self._spawn, self._time)
        self._events = WorkerEvents(
            self._scheduler, self._workers, self._swaps, self.feed, apply=self._apply, on_load=on_load
        )
        self.is_running = False

    async def __aenter__(self) -> "Supervisor":
        self.is_running = True
        self._measuring = asyncio.create_task(self._measure(), name="supervisor.measure")
        for record in self._scheduler.records.values():
            if record.spec.preload:
                self.load(record.spec.id)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_running = False
        self.drain()
        for worker in self._workers.values():
            worker.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        ending = {self._measuring, *self._events.watches}
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._alarm.set(None)

    @contextlib.asynccontextmanager
    async def lease(self, backend_id: str, priority: Priority = Priority.DEFAULT) -> AsyncIterator[Channel]:
        """The right to use a ready worker, for as long as the context lasts; starts the worker if need be.

        Raises EngineError: MODEL_UNAVAILABLE, BACKEND_RATE_LIMITED, SHUTTING_DOWN.
        """
        ticket = next(self._tickets)
        future: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        self._wanted[ticket] = future
        try:
            self._apply(self._scheduler.on_request(time.monotonic(), ticket, backend_id, priority))
            yield await future
        finally:
            self._wanted.pop(ticket, None)
            self._apply(self._scheduler.on_leave(time.monotonic(), ticket))

    def load(self, backend_id: str) -> None:
        """Start the backend's worker if it has none. Returns at once; see `snapshot`."""
        self._apply(self._scheduler.on_load(time.monotonic(), backend_id))

    def replace(self, spec: BackendSpec, need: Need, accept: Accept) -> None:
        """Bring this version of a backend up beside the one that serves, and have it take over once it has answered.

        Returns at once; see `snapshot`. `accept` is called in the moment of the swap, and may refuse.
        Raises EngineError: CONFLICT, SHUTTING_DOWN.
        """
        self._swaps.begin(spec, need, accept)

    def stop(self, backend_id: str) -> None:
        """Let running requests end, then end the backend's worker. Returns at once."""
        self._apply(self._scheduler.on_stop(time.monotonic(), backend_id))

    def sleep(self, backend_id: str) -> bool:
        """Let running requests end, then let the backend fall asleep. False: it is not ready, or cannot."""
        can_sleep = self._scheduler.can_sleep(backend_id)
        self._apply(self._scheduler.on_sleep(time.monotonic(), backend_id))
        return can_sleep

    def pin(self, backend_id: str, is_pinned: bool) -> None:
        """Keep the backend loaded, once it is, whatever else wants its memory; or no longer."""
        self._apply(self._scheduler.on_pin(time.monotonic(), backend_id, is_pinned))

    def devices(self) -> list[DeviceStatus]:
        """Every device with who holds how much of it."""
        return device_statuses(self._scheduler.ledger, self._scheduler.records.values())

    def plan(self, backend_id: str) -> Plan:
        """What loading the backend would take and do, as things are now. Nothing is done."""
        records = self._scheduler.records
        return plan(records[backend_id], records.values(), self._scheduler.ledger, time.monotonic())

    def drain(self) -> None:
        """Refuse new leases and those who wait; running requests go on."""
        self._apply(self._scheduler.on_drain(time.monotonic()))

    def cut(self) -> None:
        """End every running request with SHUTTING_DOWN, in its own response."""
        for worker in self._workers.values():
            if worker.channel is not None:
                worker.channel.fail_all(shutting_down())

    def state(self, backend_id: str) -> WorkerState:
        """What the backend's worker is doing now; costs nothing. Raises KeyError for an unknown id."""
        return self._scheduler.records[backend_id].state

    def batch_room(self, backend_id: str) -> int:
        """How many leases batches may hold at once. Raises KeyError for an unknown id."""
        return self._scheduler.records[backend_id].batch_room

    def occupancy(self, backend_id: str) -> Occupancy:
        """How busy the backend is now; costs nothing. Raises KeyError for an unknown id."""
        return occupancy(self._scheduler.records[backend_id], time.monotonic())

    def snapshot(self) -> list[BackendStatus]:
        """The state of every backend now, for people and monitors; never a base for decisions."""
        self._meter.look_for(self._workers.values())
        now = time.monotonic()
        return [
            backend_status(
                record,
                self._workers.get(record.spec.id),
                self._meter,
                now,
                self._time(record.since),
                self._swaps.status(record.spec.id),
            )
            for record in self._serving()
        ]

    def health(self, backend_id: str) -> BackendHealth:
        """How the backend is doing. Raises KeyError for an unknown id."""
        record = self._scheduler.records[backend_id]
        return health_of(record, self._workers.get(backend_id), time.monotonic(), self._time)

    async def probe(self, backend_id: str, limit_s: float) -> Outcome:
        """Ask a ready model for a small answer; one that is not ready stays as it is."""
        worker = self._workers.get(backend_id)
        if worker is None or not self._scheduler.records[backend_id].is_serving:
            return Outcome("not_ready")
        return await check(worker, limit_s)

    def _apply(self, actions: list[Action]) -> None:
        pending = deque(actions)
        while pending:
            action = pending.popleft()
            if isinstance(action, Grant):
                self._grant(action)
            elif isinstance(action, Refuse):
                self._refuse(action)
            elif isinstance(action, StartWorker):
                pending += self._start(action.backend_id)
            elif isinstance(action, ProbeWorker):
                self._swaps.probe(self._workers[action.backend_id])
            elif worker := self._workers.get(action.backend_id):
                _order(worker, action)
        self._alarm.set(self._scheduler.next_wake())
        self.feed.tell()

    def _grant(self, action: Grant) -> None:
        channel = self._workers[action.backend_id].channel
        future = self._wanted.get(action.ticket)
        if future is not None and not future.done() and channel is not None:
            future.set_result(channel)

    def _refuse(self, action: Refuse) -> None:
        future = self._wanted.get(action.ticket)
        if future is not None and not future.done():
            future.set_exception(action.error)

    def _start(self, backend_id: str) -> list[Action]:
        """Start the worker; returns what the scheduler makes of it if that is impossible."""
        spec = self._scheduler.records[backend_id].spec
        spec = msgspec.structs.replace(spec, id=owner_of(backend_id))
        try:
            plan = self._plan_launch(spec)
        except EngineError as error:
            return self._scheduler.on_exit(time.monotonic(), backend_id, error.message, permanent=True)
        worker = WorkerProcess(spec, plan, self._timeouts, residency=self._events)
        worker.backend_id = backend_id
        self._workers[backend_id] = worker
        self._spawn(worker.run(self._events), f"worker {backend_id}")
        return []

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tick(self) -> None:
        self._apply(self._scheduler.on_tick(time.monotonic()))

    async def _measure(self) -> None:
        """Tell the scheduler what is free and what every worker holds. Reading the system takes milliseconds."""
        while True:
            free = await asyncio.to_thread(self._read_free)
            self._apply(self._scheduler.on_free(time.monotonic(), free))
            if self._workers:
                looked_at = time.monotonic()
                await self._meter.look()
                for backend_id, worker in list(self._workers.items()):
                    self._tell_size(backend_id, worker, looked_at)
            await asyncio.sleep(MEASURE_EVERY_S)

    def _tell_size(self, backend_id: str, worker: WorkerProcess, looked_at: float) -> None:
        record = self._scheduler.records[backend_id]
        sizes = self._meter.sizes(worker, record.devices)
        if not sizes:
            return
        is_whole = worker.stats is not None and record.since <= looked_at
        now = time.monotonic()
        self._apply(self._scheduler.on_measured(now, backend_id, sizes, is_whole=is_whole))
        if record.is_measured and record.stage is Stage.SERVING:
            self._on_peak(backend_id, record.need_bytes)

    def _serving(self) -> list[Record]:
        """Without versions of backends that do not serve yet, or no longer."""
        return [record for record in self._scheduler.records.values() if record.stage is Stage.SERVING]

    def _states(self) -> list[Change]:
        serving = self._serving()
        states = [StateChange(r.spec.id, r.state, r.detail, self._time(r.since)) for r in serving]
        return [*states, *filter(None, (self._swaps.status(record.spec.id) for record in serving))]

    def _time(self, monotonic: float) -> datetime.datetime:
        return self._started_at + datetime.timedelta(seconds=monotonic - self._start_clock)


def _order(worker: WorkerProcess, action: StopWorker | SleepWorker | WakeWorker) -> None:
    match action:
        case StopWorker():
            worker.stop(action.reason)
        case SleepWorker():
            worker.sleep(action.level)
        case WakeWorker():
            worker.wake()
