"""Carries out Sleep and Wake one at a time; knows no library, and not when a model should sleep."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from engines.contract.codec import FrameError
from engines.contract.engine import Engine, Sleeper
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import Asleep, Awake, FromWorker, ResidencyFailed, Sleep, Wake
from engines.runtime.host_memory import HostMeter, settle
from engines.runtime.logs import log_event

_MAX_ORDERS = 16  # a supervisor waits for an answer before it changes its mind


class Residency:
    """Owns the level at which the engine sleeps; 0 is hot. `wait_idle` returns when no request is in flight.

    `tell_stats` is called with the bytes of host memory right before the answer to an order that was carried out.
    """

    def __init__(
        self,
        meter: HostMeter,
        tell: Callable[[FromWorker], None],
        tell_stats: Callable[[int], None],
        wait_idle: Callable[[], Awaitable[None]],
    ) -> None:
        self._meter = meter
        self._tell = tell
        self._tell_stats = tell_stats
        self._wait_idle = wait_idle
        self._orders: asyncio.Queue[Sleep | Wake] = asyncio.Queue(_MAX_ORDERS)
        self._level = 0
        self._num_sleeps = 0

    @property
    def is_hot(self) -> bool:
        """Whether requests may begin: not from a Sleep's arrival to the end of a Wake."""
        return self._level == 0 and self._num_sleeps == 0

    def order(self, frame: Sleep | Wake) -> None:
        """Raises FrameError for more orders than anybody in their senses gives."""
        try:
            self._orders.put_nowait(frame)
        except asyncio.QueueFull as error:
            raise FrameError("too many orders to sleep and to wake") from error
        self._num_sleeps += isinstance(frame, Sleep)

    async def run(self, engine: Engine) -> None:
        """Never returns. Raises what the engine raises, and EngineError when it takes too long: the worker must end."""
        while True:
            frame = await self._orders.get()
            if isinstance(frame, Wake):
                self._tell(await self._wake(engine, frame))
                continue
            answer = await self._sleep(engine, frame)
            self._num_sleeps -= 1
            self._tell(answer)

    async def _sleep(self, engine: Engine, frame: Sleep) -> Asleep | ResidencyFailed:
        if not isinstance(engine, Sleeper) or frame.level not in engine.sleep_levels:
            return _refused(f"this engine does not sleep at level {frame.level} on its device")
        if self._level != 0:
            return _refused(f"the model sleeps already, at level {self._level}")
        try:
            async with asyncio.timeout(frame.timeout_s):
                await self._wait_idle()
        except TimeoutError:
            return _refused("requests are in flight")
        return await self._fall_asleep(engine, frame)

    async def _fall_asleep(self, engine: Sleeper, frame: Sleep) -> Asleep:
        host_bytes, device_bytes = await self._meter.look(), _device_bytes(engine)
        started = time.monotonic()
        async with _at_most(frame.timeout_s, "falling asleep"):
            gc.unfreeze()  # what was loaded is to go, cycles too
            await engine.sleep(frame.level)
            await asyncio.to_thread(settle)
        self._level = frame.level
        took_s = time.monotonic() - started
        kept_bytes = await self._meter.look()
        self._tell_stats(kept_bytes)
        freed_bytes = host_bytes - kept_bytes
        log_event("engine.asleep", level=frame.level, took_s=round(took_s, 3), freed_host_bytes=freed_bytes)
        return Asleep(frame.level, took_s, freed_bytes, device_bytes - _device_bytes(engine))

    async def _wake(self, engine: Engine, frame: Wake) -> Awake:
        if self._level == 0 or not isinstance(engine, Sleeper):
            return Awake(0.0)
        started = time.monotonic()
        async with _at_most(frame.timeout_s, "waking"):
            await engine.wake()
            await engine.warm_up()
            await asyncio.to_thread(settle)
        self._level = 0
        took_s = time.monotonic() - started
        self._tell_stats(await self._meter.look())
        log_event("engine.awake", took_s=round(took_s, 3))
        return Awake(took_s)


@asynccontextmanager
async def _at_most(timeout_s: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise EngineError(ErrorCode.BACKEND_ERROR, f"{what} took longer than {timeout_s:g} s") from error


def _device_bytes(engine: Sleeper) -> int:
    return engine.stats().device_bytes


def _refused(message: str) -> ResidencyFailed:
    return ResidencyFailed(message, is_fatal=False)
