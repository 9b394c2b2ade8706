"""How often and after which time something is tried again. Knows no network."""

import time
from collections.abc import Callable

from server.weights.problem import WeightsError
from server.weights.progress import Progress

MAX_TRIES = 8
_FIRST_DELAY_S = 0.25
_LONGEST_ASKED_S = 600.0


class TryAgain(Exception):
    """It may work later: after `after_s` seconds, if somebody said so."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Patience:
    """Waits 0.25, 0.5, 1 ... 16 seconds, or as long as it was asked to; `renew` when there was progress."""

    def __init__(self, progress: Progress, sleep: Callable[[float], None] = time.sleep) -> None:
        self._progress = progress
        self._sleep = sleep
        self._num_failures = 0

    def renew(self) -> None:
        self._num_failures = 0

    def wait(self, error: TryAgain) -> None:
        """Raises WeightsError when it was tried often enough, or is asked to wait too long."""
        self._num_failures += 1
        if self._num_failures >= MAX_TRIES:
            raise WeightsError(
                f"{error}, {MAX_TRIES} times in a row; run the command again to go on"
            ) from error
        delay_s = _FIRST_DELAY_S * 2 ** (self._num_failures - 1)
        if error.after_s is not None:
            delay_s = max(delay_s, error.after_s)
        if delay_s > _LONGEST_ASKED_S:
            raise WeightsError(f"{error} and asks to come back in {delay_s:.0f} s") from error
        self._progress.say(f"{error}; trying again in {delay_s:g} s")
        self._sleep(delay_s)
