"""Jobs, lines and batches for tests, made from little."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from server.batch.job import Job, nobody
from server.batch.lines import Loaded
from server.batch.records import Batch, Line
from server.batch.states import BatchState

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def batch(batch_id: str = "batch_a", **fields: Any) -> Batch:
    values: dict[str, Any] = {
        "id": batch_id,
        "owner": "apikey_a",
        "surface": "native",
        "endpoint": None,
        "state": BatchState.VALIDATING,
        "input_file_id": "file_in",
        "completion_window": "24h",
        "metadata": {},
        "base_url": "http://localhost",
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=24),
        "kept_until": NOW + timedelta(days=31),
    }
    return Batch(**(values | fields))


def job(batch_id: str = "batch_a", **fields: Any) -> Job:
    return Job(batch(batch_id, **fields), nobody("apikey_a"))


def line(
    line_no: int, *, batch_id: str = "batch_a", model: str = "m", deaths: int = 0, attempt: int = 0
) -> Line:
    return Line(batch_id, line_no, f"c{line_no}", model, line_no, 0, 0, attempt, deaths)


class ListSource:
    """Lines out of a list."""

    def __init__(self, *lines: Line) -> None:
        self._lines = list(lines)

    async def next(self) -> Loaded | None:
        return Loaded(self._lines.pop(0), b"") if self._lines else None


class HeldWork:
    """Work that ends when the test says so: `end(line_no)`."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.under_way: dict[int, asyncio.Future[Loaded | None]] = {}
        self.most_at_once = 0

    async def carry_out(self, job: Job, loaded: Loaded) -> Loaded | None:
        number = loaded.line.line_no
        self.begun.append((job.batch.id, number))
        self.under_way[number] = asyncio.get_running_loop().create_future()
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        try:
            again = await self.under_way[number]
        finally:
            del self.under_way[number]
        if again is None:
            job.end_line()
        return again

    def end(self, number: int, again: Line | None = None) -> None:
        self.under_way[number].set_result(None if again is None else Loaded(again, b""))


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)
