"""Brings one request to a worker: a lease, then the worker's yes; of several replicas to one that takes it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.requests import Request
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from server.replicas import Choice, beginning_of, can_take, choose, has_room
from server.router import Replicas
from server.telemetry import log_event
from server.workers.channel import RequestStream
from server.workers.occupancy import Occupancy
from server.workers.status import WorkerState
from server.workers.supervisor import Supervisor

LOOK_AGAIN_S = 1.0  # whoever waits at a replica that is not up looks so often whether another can take it
BeforeStart = Callable[[], Awaitable[None]]


class Order(NamedTuple):
    """What is to be run. `before_start` is awaited once, with the first lease in hand."""

    request: Request
    priority: Priority
    before_start: BeforeStart | None = None


class Accepted(NamedTuple):
    spec: BackendSpec
    stream: RequestStream


@asynccontextmanager
async def accepted(supervisor: Supervisor, spec: BackendSpec, order: Order) -> AsyncIterator[Accepted]:
    """Enter: the worker has accepted the request. Leave: it has ended, the lease is returned. Raises EngineError."""
    async with supervisor.lease(spec.id, order.priority) as channel:
        if order.before_start is not None:
            await order.before_start()
        stream = channel.start(order.request, order.priority)
        deadline = asyncio.get_running_loop().call_later(
            spec.limits.request_timeout_s, stream.fail, _timed_out(spec)
        )
        try:
            await stream.accepted()
            yield Accepted(spec, stream)
        finally:
            deadline.cancel()
            stream.close()


@asynccontextmanager
async def accepted_by_one(
    supervisor: Supervisor, replicas: Replicas, order: Order, *, look_again_s: float = LOOK_AGAIN_S
) -> AsyncIterator[Accepted]:
    """As `accepted`, by whichever replica takes it. A replica that refuses, or dies, before it has accepted the request
    is not tried again; what the last one says is raised.
    """
    async with AsyncExitStack() as held:
        yield await _Placing(supervisor, replicas, order, look_again_s).place(held)


class _Placing:
    """The attempts of one request."""

    def __init__(self, supervisor: Supervisor, replicas: Replicas, order: Order, look_again_s: float) -> None:
        self._supervisor = supervisor
        self._left = {spec.id: spec for spec in replicas}
        self._order = order
        self._look_again_s = look_again_s
        self._beginning = beginning_of(order.request)
        self._is_batch = order.priority is Priority.BATCH
        self._is_claimed = False
        self._has_seen_a_death = False

    async def place(self, held: AsyncExitStack) -> Accepted:
        candidates = self._look()
        while True:
            choice = self._choose(candidates)
            if choice.wake is not None:
                self._supervisor.load(choice.wake)
            try:
                found = await self._try(self._left[choice.backend_id], held)
            except EngineError as error:
                del self._left[choice.backend_id]
                candidates = self._others(choice.backend_id, error)
                if not candidates:
                    raise
                log_event("replica.passed_over", backend=choice.backend_id, code=error.code)
                continue
            if found is not None:
                return found
            candidates = self._look()

    def _choose(self, candidates: Mapping[str, Occupancy]) -> Choice:
        """While one replica is up, another comes up only if its memory is there: it would hold up other models else."""
        left = dict(candidates)
        while True:
            choice = choose(left, self._beginning, is_batch=self._is_batch)
            newcomer = choice.wake or choice.backend_id
            is_extra = left[newcomer].is_idle and any(
                one.is_serving or one.is_coming_up for one in left.values()
            )
            if not is_extra or self._supervisor.plan(newcomer).verdict in ("fits", "evicts"):
                return choice
            del left[newcomer]

    async def _try(self, spec: BackendSpec, held: AsyncExitStack) -> Accepted | None:
        """None: it waited at a replica that is not up, until another could take it. Raises EngineError."""
        try:
            async with asyncio.timeout(None) as wait:
                watch = _Watch(lambda: self._is_better_elsewhere(spec.id), wait, self._look_again_s)

                async def begin() -> None:
                    watch.end()
                    await self._claim()

                order = self._order._replace(before_start=begin)
                try:
                    return await held.enter_async_context(accepted(self._supervisor, spec, order))
                finally:
                    watch.end()
        except TimeoutError:
            if not wait.expired():
                raise
        return None

    def _is_better_elsewhere(self, backend_id: str) -> bool:
        found = self._look()
        if found.pop(backend_id).is_serving:
            return False
        return any(can_take(one, is_batch=self._is_batch) for one in found.values())

    async def _claim(self) -> None:
        if self._order.before_start is not None and not self._is_claimed:
            await self._order.before_start()
            self._is_claimed = True

    def _look(self) -> dict[str, Occupancy]:
        return {backend_id: self._supervisor.occupancy(backend_id) for backend_id in self._left}

    def _others(self, refused_by: str, error: EngineError) -> dict[str, Occupancy]:
        """The replicas that may be tried after `error`; none if it is to be told.

        A request that has seen one worker die may be what killed it: it meets one more at most, and of a batch none,
        whose lines then run alone. Whoever was refused for want of room, or by an operator's stop, makes nobody load.
        """
        others = {name: one for name, one in self._look().items() if not one.is_given_up}
        if error.worker_died:
            may_meet_another = not (self._is_batch or self._has_seen_a_death)
            self._has_seen_a_death = True
            return others if may_meet_another else {}
        if error.code is ErrorCode.BACKEND_RATE_LIMITED:
            return {name: one for name, one in others.items() if has_room(one, is_batch=self._is_batch)}
        if error.code is not ErrorCode.MODEL_UNAVAILABLE:
            return {}
        if self._supervisor.state(refused_by) in (WorkerState.STOPPED, WorkerState.DRAINING):
            return {name: one for name, one in others.items() if one.is_serving or one.is_coming_up}
        return others


class _Watch:
    """Ends `wait` once `is_over` says so, unless it has ended itself before."""

    def __init__(self, is_over: Callable[[], bool], wait: asyncio.Timeout, every_s: float) -> None:
        self._is_over = is_over
        self._wait = wait
        self._every_s = every_s
        self._timer = self._next()

    def end(self) -> None:
        self._timer.cancel()

    def _next(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        if self._is_over():
            self._wait.reschedule(asyncio.get_running_loop().time())
        else:
            self._timer = self._next()


def _timed_out(spec: BackendSpec) -> EngineError:
    return EngineError(
        ErrorCode.BACKEND_TIMEOUT, f"The request ran longer than {spec.limits.request_timeout_s:.0f} s"
    )
