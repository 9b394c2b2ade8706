"""uvicorn's server with an orderly end: say so, go on serving a little, close the door, wait, then cut in-band.

Order and times are promise L2 of the operations page. uvicorn alone closes its listener at once and cuts streams bare.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

import msgspec
import uvicorn


class DrainTimes(msgspec.Struct, frozen=True):
    """Seconds after SIGTERM: the listener closes at `grace_s`; what still runs at `timeout_s` is ended."""

    grace_s: float
    timeout_s: float


class DrainHooks(msgspec.Struct, frozen=True):
    """`announce`: readiness turns 503. `close`: no new work. `cut`: end what runs, streams with an error frame."""

    announce: Callable[[], None]
    close: Callable[[], None]
    cut: Callable[[], None]


class DrainingServer(uvicorn.Server):
    """SIGTERM drains; SIGINT drains without the grace; a second signal ends at once. Exit status 0 in each case."""

    def __init__(self, config: uvicorn.Config, hooks: DrainHooks, times: DrainTimes) -> None:
        super().__init__(config)
        self._hooks = hooks
        self._times = times
        self._is_draining = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal, self._times.grace_s)
        loop.add_signal_handler(signal.SIGINT, self._on_signal, 0.0)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGINT)

    def _on_signal(self, grace_s: float) -> None:
        if self._is_draining:
            self.should_exit = self.force_exit = True
            return
        self._is_draining = True
        self._hooks.announce()
        loop = asyncio.get_running_loop()
        loop.call_later(grace_s, self._close)
        loop.call_later(max(grace_s, self._times.timeout_s), self._hooks.cut)

    def _close(self) -> None:
        self._hooks.close()
        self.should_exit = True
