"""Changes of state as they happen, for whoever listens. Knows nothing of what a state means."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager

from server.workers.status import Change

MAX_UNREAD = 1000


class Listener:
    """One reader. It is told the newest changes: of more than `MAX_UNREAD` that it has not read the oldest go."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[Change] = asyncio.Queue(MAX_UNREAD)

    async def next(self) -> Change:
        return await self._unread.get()

    def tell(self, change: Change) -> None:
        if self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(change)


class Feed:
    """`look` gives the states of now. Without listeners `tell` costs nothing."""

    def __init__(self, look: Callable[[], Iterable[Change]]) -> None:
        self._look = look
        self._listeners: set[Listener] = set()
        self._told: dict[str, tuple[object, ...]] = {}

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A listener that is told every state first, then every change."""
        listener = Listener()
        if not self._listeners:
            self._told = {change.topic: change.key for change in self._look()}
        for change in self._look():
            listener.tell(change)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)

    async def changes(self, silence_s: float) -> AsyncIterator[Change | None]:
        """For ever: every state, then every change; None after each `silence_s` without one."""
        with self.listening() as listener:
            while True:
                try:
                    async with asyncio.timeout(silence_s):
                        change = await listener.next()
                except TimeoutError:
                    yield None
                    continue
                yield change

    def tell(self) -> None:
        """Something may have changed."""
        if not self._listeners:
            return
        for change in self._look():
            if self._told.get(change.topic) != change.key:
                self._told[change.topic] = change.key
                for listener in self._listeners:
                    listener.tell(change)
