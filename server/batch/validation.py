"""From an input file to lines in the store, or to the list of what is wrong with it. Knows no runner."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.line_input import InputCheck, check_input
from server.batch.persisting import persist
from server.batch.records import Batch
from server.store.database import Database

SLICE_LINES = 1000


class BatchLostError(Exception):
    """Another runner has the batch, or its state is not what this step presumes."""


async def clear_lines(database: Database, batch_id: str) -> None:
    """Delete all its lines, a slice at a time, so that other writes come in between."""
    while await persist(
        database, lambda connection: line_tables.delete_lines(connection, batch_id, SLICE_LINES)
    ):
        pass


async def check_file(path: Path, batch: Batch, *, max_lines: int, max_line_bytes: int) -> InputCheck:
    """Read the whole input, in a thread."""
    return await asyncio.to_thread(
        check_input, path, endpoint=batch.endpoint, max_lines=max_lines, max_line_bytes=max_line_bytes
    )


async def store_lines(database: Database, batch: Batch, rows: Sequence[dict[str, Any]]) -> None:
    """All of them, without beginning. Raises BatchLostError."""
    for start in range(0, len(rows), SLICE_LINES):
        await persist(database, _inserting(batch, rows[start : start + SLICE_LINES]))


def _inserting(batch: Batch, rows: Sequence[dict[str, Any]]) -> Any:
    def write(connection: Connection) -> None:
        if not tables.is_held(connection, batch):
            raise BatchLostError
        if line_tables.find_line(connection, batch.id, rows[-1]["line_no"]) is None:  # else an unknown commit was done
            line_tables.insert_lines(connection, rows)

    return write


def now() -> datetime:
    return datetime.now(UTC)
