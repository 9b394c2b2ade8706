"""A batch's lines in the order of their execution, page by page, with their text. Knows no engine."""

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import NamedTuple

from server.batch import line_tables
from server.batch.records import Line
from server.store.database import Database

PAGE_LINES = 64
PAGE_BYTES = 4 * 1024 * 1024


class Loaded(NamedTuple):
    """A line and what is written there."""

    line: Line
    raw: bytes


class LineSource:
    """The lines of one batch for one model that have no outcome. One consumer; memory for one page."""

    def __init__(self, database: Database, batch_id: str, model: str, path: Path) -> None:
        self.model = model
        self._database = database
        self._batch_id = batch_id
        self._path = path
        self._after = -1
        self._page: deque[Loaded] = deque()

    async def next(self) -> Loaded | None:
        """None at the end. Raises ServiceError, and OSError if the input cannot be read."""
        if not self._page:
            await self._turn()
        return self._page.popleft() if self._page else None

    async def _turn(self) -> None:
        lines = await self._database.read(
            lambda connection: line_tables.open_lines(
                connection, self._batch_id, self.model, self._after, PAGE_LINES
            )
        )
        page = await asyncio.to_thread(_read, self._path, lines)
        if page:
            self._page.extend(page)
            self._after = page[-1].line.position


async def load_line(database: Database, line: Line, raw: bytes) -> Loaded | None:
    """The line as it is now; None if it has an outcome by now."""
    found = await database.read(
        lambda connection: line_tables.find_line(connection, line.batch_id, line.line_no)
    )
    return None if found is None else Loaded(found, raw)


def _read(path: Path, lines: list[Line]) -> list[Loaded]:
    """As many of the lines as a page may hold, at least one."""
    if not lines:
        return []
    page: list[Loaded] = []
    size_bytes = 0
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for line in lines:
            size_bytes += line.size
            if page and size_bytes > PAGE_BYTES:
                break
            page.append(Loaded(line, os.pread(descriptor, line.size, line.start)))
    finally:
        os.close(descriptor)
    return page
