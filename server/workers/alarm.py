"""One timer for the time at which something is to be done next."""

import asyncio
import time
from collections.abc import Callable

SLACK_S = 0.001  # a ring that comes early would find nothing to do


class Alarm:
    """Calls `ring` at the time that was set last, of `time.monotonic`; needs a running loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """None: never."""
        if at == self._at:
            return
        self._at = at
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            delay_s = max(0.0, at - time.monotonic()) + SLACK_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._go_off)

    def _go_off(self) -> None:
        self._at = self._timer = None
        self._ring()
