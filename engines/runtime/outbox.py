"""Gathers what requests say in one turn of the event loop into few frames; knows nothing of engines."""

import asyncio
import contextlib

from engines.contract.codec import FrameError, encode
from engines.contract.frames import Accepted, Done, Failed, FromWorker, Items
from engines.contract.requests import Item

_MAX_UNSENT_BYTES = 256 * 1024 * 1024  # a peer that lets this much pile up does not read any more
_CLOSE_S = 2.0


class Outbox:
    """The sending side of one connection.

    An engine step wakes all its requests in one turn of the loop; their items leave together, in one `Items` frame,
    at the start of the next turn. Within a flush the order is: accepted, items, ends. Ids are never used twice, so
    that keeps the order of every single id.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._accepted: list[Accepted] = []
        self._items: list[tuple[int, Item]] = []
        self._ends: list[Done | Failed] = []
        self._is_scheduled = False

    def accept(self, id: int) -> None:
        self._accepted.append(Accepted(id))
        self._schedule()

    def add(self, id: int, item: Item) -> None:
        self._items.append((id, item))
        self._schedule()

    def end(self, frame: Done | Failed) -> None:
        self._ends.append(frame)
        self._schedule()

    def send(self, frame: FromWorker) -> None:
        """Send a frame that belongs to no request at once."""
        if not self._writer.is_closing():
            self._writer.write(encode(frame))

    def flush(self) -> None:
        self._is_scheduled = False
        frames = [encode(frame) for frame in self._accepted]
        if self._items:
            frames.extend(_encode_items(self._items))
        frames.extend(encode(frame) for frame in self._ends)
        self._accepted, self._items, self._ends = [], [], []
        if self._writer.is_closing():
            return
        self._writer.write(b"".join(frames))
        if self._writer.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            self._writer.transport.abort()

    async def close(self) -> None:
        """Send what is left, for a bounded time, and hang up."""
        self.flush()
        self._writer.close()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self.flush)


def _encode_items(items: list[tuple[int, Item]]) -> list[bytes]:
    """One frame, or more where one would be above the frame limit."""
    try:
        return [encode(Items(items))]
    except FrameError:
        if len(items) == 1:
            raise
        half = len(items) // 2
        return _encode_items(items[:half]) + _encode_items(items[half:])
