"""How long after a restart the first line is recorded. Knows no server."""

import threading
import time


class Progress:
    """Clients `note`, the nemesis waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: dict[str, int] = {}
        self._moved_at: float | None = None
        self._is_given_up = False

    def restart(self) -> None:
        """Forget: the next look at each batch says where it starts from."""
        with self._changed:
            self._done.clear()
            self._moved_at = None

    def note(self, batch_id: str, done: int) -> None:
        """So many of its lines are recorded now."""
        with self._changed:
            before = self._done.setdefault(batch_id, done)
            if done > before and self._moved_at is None:
                self._moved_at = time.monotonic()
                self._changed.notify_all()

    def give_up(self) -> None:
        """Nobody looks any more: do not wait."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> float | None:
        """When, by the monotonic clock, a batch first moved after `restart`; None if none has."""
        with self._changed:
            self._changed.wait_for(lambda: self._moved_at is not None or self._is_given_up, timeout_s)
            return self._moved_at
