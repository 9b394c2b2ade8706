"""Which backends work on batches now: loaded ones all at once, of the others one at a time. Knows no store."""

import asyncio
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from server.batch.job import Job
from server.batch.lanes import Lane, Source, Work
from server.errors import ServiceError
from server.workers.status import WorkerState

NOWHERE = ""  # the lane of models that no backend serves: the gateway refuses their lines
NOWHERE_ROOM = 16


class Backends(Protocol):
    """What a board asks the gateway: `server.gateway.Gateway`."""

    def backend_of(self, model: str) -> str: ...

    def state_of(self, backend_id: str) -> WorkerState: ...

    def batch_room(self, backend_id: str) -> int: ...


def lanes_to_start(
    waiting: Iterable[str], running: Collection[str], states: Mapping[str, WorkerState]
) -> list[str]:
    """Backends out of `waiting` whose lanes shall begin now.

    Lines of a model that has to be loaded wait until no other lane loads one, so that a batch over many models brings
    them up one after the other. A backend that has failed loads nothing, so it holds up nobody.
    """
    started = []
    is_one_loading = any(_is_loading(states[backend]) for backend in running)
    for backend in waiting:
        if _is_loading(states[backend]):
            if is_one_loading:
                continue
            is_one_loading = True
        started.append(backend)
    return started


def _is_loading(state: WorkerState) -> bool:
    return state not in (WorkerState.READY, WorkerState.FAILED)


class Board:
    """All lanes. `choose` decides again; call it when models have come up or lanes have ended."""

    def __init__(self, backends: Backends, work: Work) -> None:
        self._backends = backends
        self._work = work
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, job: Job, sources: Mapping[str, Source]) -> None:
        """`sources` by model."""
        for model, source in sources.items():
            backend = self._backend_of(model)
            if backend not in self._lanes:
                self._lanes[backend] = Lane(self._work, self._room(backend))
            self._lanes[backend].add(job, source)
        self.choose()

    def drop(self, job: Job) -> None:
        for lane in self._lanes.values():
            lane.drop(job)

    def choose(self) -> None:
        """Start the lanes whose turn it is, and forget those that have nothing to do."""
        idle = [
            backend for backend, lane in self._lanes.items() if lane.is_idle and backend not in self._tasks
        ]
        for backend in idle:
            del self._lanes[backend]
        waiting = [backend for backend in self._lanes if backend not in self._tasks]
        states = {backend: self._state_of(backend) for backend in self._lanes}
        for backend in lanes_to_start(waiting, self._tasks.keys(), states):
            task = asyncio.create_task(self._lanes[backend].run(), name=f"batch.lane {backend}")
            self._tasks[backend] = task
            task.add_done_callback(functools.partial(self._end, backend))

    async def close(self) -> None:
        """Abort everything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, backend: str, task: "asyncio.Task[None]") -> None:
        del self._tasks[backend]

    def _backend_of(self, model: str) -> str:
        try:
            return self._backends.backend_of(model)
        except ServiceError:
            return NOWHERE

    def _state_of(self, backend: str) -> WorkerState:
        return WorkerState.READY if backend == NOWHERE else self._backends.state_of(backend)

    def _room(self, backend: str) -> Callable[[], int]:
        """Twice what runs at once: half waits for a place or is being recorded while the other half is at work."""
        if backend == NOWHERE:
            return lambda: NOWHERE_ROOM
        return lambda: 2 * self._backends.batch_room(backend)
