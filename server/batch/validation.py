"""From an input file to lines in the store, or to the list of what is wrong with it. Knows no runner."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.input_check import CheckedLine, InputCheck, InputProblem
from server.batch.persisting import persist
from server.batch.prefix import execution_order
from server.batch.records import Batch
from server.store.database import Database

SLICE_LINES = 1000


class BatchLostError(Exception):
    """Another runner has the batch, or its state is not what this step presumes."""


async def clear_lines(database: Database, batch_id: str) -> None:
    """Delete all its lines, a slice at a time, so that other writes come in between."""
    num_deleted = SLICE_LINES
    while num_deleted == SLICE_LINES:
        num_deleted = await persist(
            database, lambda connection: line_tables.delete_lines(connection, batch_id, SLICE_LINES)
        )


class Checked(NamedTuple):
    """What a file holds: either problems, or its lines in order, and their ranks in that of execution."""

    problems: tuple[InputProblem, ...]
    lines: Sequence[CheckedLine]
    ranks: Mapping[int, int]

    def rows(self, batch_id: str, start: int, end: int) -> list[dict[str, Any]]:
        """Of the lines from `start` up to but not including `end`, for the store."""
        return [
            {
                "batch_id": batch_id,
                "line_no": line.line_no,
                "custom_id": line.custom_id,
                "model": line.model,
                "position": self.ranks[line.line_no],
                "start": line.start,
                "size": line.size,
            }
            for line in self.lines[start:end]
        ]


async def check_file(path: Path, batch: Batch, *, max_lines: int, max_line_bytes: int) -> Checked:
    """Read the whole input, in a thread. Raises OSError."""
    check = InputCheck(max_lines=max_lines, max_line_bytes=max_line_bytes, endpoint=batch.endpoint)
    return await asyncio.to_thread(_check, path, check)


def _check(path: Path, check: InputCheck) -> Checked:
    with path.open("rb") as file:
        lines = list(check.lines(file))
    if check.problems:
        return Checked(tuple(check.problems), (), {})
    order = execution_order(lines)
    return Checked((), lines, {line_no: rank for rank, line_no in enumerate(order)})


async def store_lines(database: Database, batch: Batch, checked: Checked) -> None:
    """All of them, without beginning. Raises BatchLostError."""
    for start in range(0, len(checked.lines), SLICE_LINES):
        await persist(database, _inserting(batch, checked.rows(batch.id, start, start + SLICE_LINES)))


def _inserting(batch: Batch, rows: Sequence[dict[str, Any]]) -> Callable[[Connection], None]:
    def write(connection: Connection) -> None:
        if not tables.is_held(connection, batch):
            raise BatchLostError
        was_done = line_tables.find_line(connection, batch.id, rows[-1]["line_no"])  # by an unknown commit
        if was_done is None:
            line_tables.insert_lines(connection, rows)

    return write
