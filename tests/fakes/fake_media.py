"""Media files in memory, which fail on command, and a clock that tests turn."""

from collections.abc import AsyncIterator

from server.media.storage import Name, failed


class Clock:
    """Unix time that stands still until it is moved."""

    def __init__(self, now: float = 1_760_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MediaMemory:
    """A `MediaStorage`; `is_full` makes every `put` fail."""

    def __init__(self) -> None:
        self.files: dict[Name, bytes] = {}
        self.is_full = False

    async def put(self, name: Name, content: bytes) -> None:
        if self.is_full:
            raise failed("store the file")
        self.files[name] = content

    async def size_bytes(self, name: Name) -> int | None:
        return len(self.files[name]) if name in self.files else None

    async def read(self, name: Name, start: int, end: int) -> AsyncIterator[bytes]:
        for place in range(start, end, 7):
            yield self.files[name][place : min(place + 7, end)]

    async def sweep(self, first_kept: int) -> int:
        past = {name.period for name in self.files if name.period < first_kept}
        self.files = {name: content for name, content in self.files.items() if name.period not in past}
        return len(past)
