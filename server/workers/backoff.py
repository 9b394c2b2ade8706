"""How long to wait after a worker's death, and when to give up; pure arithmetic on times that others tell."""

from collections import deque

import msgspec


class RestartPolicy(msgspec.Struct, frozen=True):
    """Delays double from `first_delay_s` to `longest_delay_s`; `max_deaths` within `window_s` is failure.

    A worker that was ready for `healthy_s` starts with a clean record. A failed backend may be tried
    again after `failed_s`.
    """

    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0
    max_deaths: int = 5
    window_s: float = 300.0
    healthy_s: float = 600.0
    failed_s: float = 600.0


class DeathRecord:
    """The recent deaths of one backend's workers. `last` is when the last of all was, and its reason."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self._deaths: deque[float] = deque()
        self._num_at_end = 0  # when it was given up
        self.last: tuple[float, str] | None = None

    def add(self, now: float, reason: str, *, lived_ready_s: float) -> None:
        """One more death of a worker that had been ready for `lived_ready_s` seconds."""
        if lived_ready_s >= self.policy.healthy_s:
            self._deaths.clear()
        self._num_at_end = 0
        self.last = (now, reason)
        self._deaths.append(now)
        self._forget(now)

    def clear(self) -> None:
        self._deaths.clear()
        self._num_at_end = 0

    def give_up(self) -> None:
        """The next attempt has a clean record; the deaths that led here are still told."""
        self._num_at_end = len(self._deaths)
        self._deaths.clear()

    def num_recent(self, now: float) -> int:
        self._forget(now)
        return self._num_at_end or len(self._deaths)

    @property
    def is_hopeless(self) -> bool:
        return len(self._deaths) >= self.policy.max_deaths

    def delay_s(self, jitter: float) -> float:
        """Seconds until the next start; `jitter` in 0..1 shortens it by up to a fifth: restarts spread."""
        doubled = self.policy.first_delay_s * 2.0 ** (len(self._deaths) - 1)
        return min(doubled, self.policy.longest_delay_s) * (1 - 0.2 * jitter)

    def _forget(self, now: float) -> None:
        while self._deaths and self._deaths[0] < now - self.policy.window_s:
            self._deaths.popleft()
