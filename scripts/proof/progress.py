"""How long after a restart the first line is recorded. Knows no server."""

import threading


class Progress:
    """Clients `note`, the nemesis waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: dict[str, int] = {}
        self._has_moved = False
        self._is_given_up = False

    def restart(self) -> None:
        """Forget: the next look at each batch says where it starts from."""
        with self._changed:
            self._done.clear()
            self._has_moved = False

    def note(self, batch_id: str, done: int) -> None:
        """So many of its lines are recorded now."""
        with self._changed:
            before = self._done.setdefault(batch_id, done)
            if done > before and not self._has_moved:
                self._has_moved = True
                self._changed.notify_all()

    def give_up(self) -> None:
        """Nobody looks any more: do not wait."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether any batch has moved since `restart`."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_moved or self._is_given_up, timeout_s)
            return self._has_moved
