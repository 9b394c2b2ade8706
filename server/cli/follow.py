"""Tells how preloaded models come up, line by line, until each is ready or failed. Only reads snapshots."""

import asyncio
import time
from collections.abc import Callable, Iterable

from server.workers.status import BackendStatus, WorkerState

POLL_PERIOD_S = 0.5
REPEAT_PERIOD_S = 10.0
Snapshot = Callable[[], Iterable[BackendStatus]]
Say = Callable[[str], None]
_SETTLED = frozenset({WorkerState.READY, WorkerState.FAILED, WorkerState.STOPPED})


class StartupFollower:
    """Remembers what it said of each backend; `look` says what is new."""

    def __init__(self, names: dict[str, str], say: Say) -> None:
        self._names = names
        self._say = say
        self._said: dict[str, tuple[WorkerState, str | None, float]] = {}

    def look(self, statuses: Iterable[BackendStatus], elapsed_s: float) -> bool:
        """Whether every followed backend has settled."""
        settled = True
        for status in statuses:
            if status.backend_id in self._names:
                self._report(status, elapsed_s)
                settled &= status.state in _SETTLED and status.backend_id in self._said
        return settled

    def _report(self, status: BackendStatus, elapsed_s: float) -> None:
        if status.state is WorkerState.STOPPED and status.backend_id not in self._said:
            return  # not begun yet
        state, detail, at_s = self._said.get(status.backend_id, (None, None, 0.0))
        is_new = (state, detail) != (status.state, status.detail)
        is_due = status.state not in _SETTLED and elapsed_s - at_s >= REPEAT_PERIOD_S
        if is_new or is_due:
            self._said[status.backend_id] = (status.state, status.detail, elapsed_s)
            self._say(f"  {elapsed_s:4.0f} s  {self._names[status.backend_id]}: {_describe(status)}")


async def follow_startup(follower: StartupFollower, snapshot: Snapshot) -> None:
    """Ends when everything has settled; cancel it to stop earlier."""
    begun = time.monotonic()
    # A poll, because the supervisor tells its states only when asked.
    while not follower.look(snapshot(), time.monotonic() - begun):  # noqa: ASYNC110
        await asyncio.sleep(POLL_PERIOD_S)


def _describe(status: BackendStatus) -> str:
    if status.state is WorkerState.FAILED:
        return f"failed: {status.last_error or 'for an unknown reason'}"
    return f"{status.state}: {status.detail}" if status.detail else status.state.value
