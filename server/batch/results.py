"""Renders the files of a batch from its rows, and publishes them whole. Knows no runner."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.line_answer import LineFailure, unanswered_line
from server.batch.line_tables import Ended
from server.batch.persisting import persist
from server.batch.records import Batch
from server.batch.states import Outcome, state_after
from server.batch.validation import BatchLostError
from server.failpoints import reach
from server.files import RENDER, Draft, FileRecord, FileStore, Purpose, Sealed
from server.store.database import Database
from server.wire.file_render import JSONL

PAGE_LINES = 64


async def publish(
    database: Database, files: FileStore, batch: Batch, *, now: Callable[[], datetime], told: str | None
) -> Batch:
    """Write both files, then end the batch in one transaction with their rows. Raises BatchLostError."""
    output, errors = await _render(database, files, batch)
    made = [
        None if sealed is None else _record(sealed, batch, name, now())
        for sealed, name in ((output, "output"), (errors, "errors"))
    ]
    ids = (made[0].id if made[0] else None, made[1].id if made[1] else None)

    def write(connection: Connection) -> Batch:
        counts = line_tables.count_lines(connection, batch.id)
        state = state_after(batch.state, counts)
        if not tables.end(connection, batch, state, counts, files=ids, now=now(), told=told):
            found = tables.find_batch(connection, batch.id)
            if (
                found is not None
                and (found.output_file_id, found.error_file_id) == ids
                and found.state.has_ended
            ):
                return found  # an unknown commit was done
            raise BatchLostError
        for record in made:
            if record is not None:
                files.insert(connection, record)
        found = tables.find_batch(connection, batch.id)
        if found is None:
            raise BatchLostError
        return found

    ended = await persist(database, write)
    reach("render.published")
    return ended


async def _render(database: Database, files: FileStore, batch: Batch) -> tuple[Sealed | None, Sealed | None]:
    """Output and error file, in the order of the input; None for one that would be empty."""
    output, errors = _Sink(files), _Sink(files)
    after = 0
    try:
        while page := await _next_page(database, batch.id, after):
            for line in page:
                sink = output if line.outcome is Outcome.COMPLETED else errors
                await sink.add(_content(batch.id, line))
            after = page[-1].line_no
        return await output.seal(), await errors.seal()
    finally:
        output.discard()
        errors.discard()


async def _next_page(database: Database, batch_id: str, after: int) -> list[Ended]:
    return await database.read(
        lambda connection: line_tables.ended_lines(connection, batch_id, after, PAGE_LINES)
    )


def _content(batch_id: str, line: Ended) -> bytes:
    if line.answer is not None:
        return line.answer
    failure = LineFailure.BATCH_EXPIRED if line.outcome is Outcome.EXPIRED else LineFailure.BATCH_CANCELLED
    return unanswered_line(batch_id, line.line_no, line.custom_id, failure=failure, attempts=line.attempt)


def _record(sealed: Sealed, batch: Batch, name: str, moment: datetime) -> FileRecord:
    return FileRecord(
        id=sealed.id,
        owner=batch.owner,
        purpose=Purpose.BATCH_OUTPUT,
        filename=f"{batch.id}_{name}.jsonl",
        content_type=JSONL,
        size_bytes=sealed.size_bytes,
        sha256=sealed.sha256,
        created_at=moment,
        expires_at=batch.kept_until,
        batch_id=batch.id,
    )


class _Sink:
    """A draft that is made with its first line."""

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._draft: Draft | None = None

    async def add(self, line: bytes) -> None:
        if self._draft is None:
            self._draft = self._files.draft(steps=RENDER)
        await self._draft.add(line)

    async def seal(self) -> Sealed | None:
        return None if self._draft is None else await self._draft.seal()

    def discard(self) -> None:
        if self._draft is not None:
            self._draft.discard()
