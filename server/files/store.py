"""Files by owner: found, listed, deleted; a file that somebody else owns or that has expired does not exist. Knows no
route.

A file exists from the commit of its row on. Its content is in its place before; what lies there without a row is an
orphan, see `sweep.py`.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, or_, select

from engines.contract.errors import ErrorCode
from server.clock import utc_now
from server.disk import DiskGuard, disk_error, in_thread, read_pieces
from server.errors import ServiceError
from server.files.draft import UPLOAD, Draft, Steps
from server.files.record import FilePlace, FileRecord
from server.files.sweep import Sweeper
from server.store.database import Database
from server.store.schema import batches, files

_COLUMNS = FileRecord.__struct_fields__


class FileStore:
    """`folder` holds the content under the ids; `start` before the first draft."""

    def __init__(
        self, db: Database, folder: Path, disk: DiskGuard, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._db = db
        self._folder = folder.absolute()
        self._disk = disk
        self._now = now
        self._sweeper = Sweeper(db, self._folder, now)

    async def start(self) -> None:
        """Make the folder and remove what a server that was killed has left. Raises ServiceError."""
        await self._sweeper.start()

    def draft(self, *, max_bytes: int | None = None, steps: Steps = UPLOAD) -> Draft:
        """A file to be written. Whoever asked for it calls `discard` in the end; once sealed that does nothing."""
        return Draft(self._folder, self._disk, max_bytes=max_bytes, steps=steps)

    def insert(self, connection: Connection, record: FileRecord) -> None:
        """For a caller's own transaction; see `dropped_without_row`."""
        connection.execute(insert(files).values(**{name: getattr(record, name) for name in _COLUMNS}))

    async def add(self, record: FileRecord, also: Callable[[Connection], None] | None = None) -> None:
        """Insert the row, and do in the same transaction what `also` does.

        Raises ServiceError: STORAGE_FULL, STORAGE_UNAVAILABLE; and what `also` raises.
        """

        def write(connection: Connection) -> None:
            self.insert(connection, record)
            if also is not None:
                also(connection)

        async with self.dropped_without_row(record.id):
            await self._db.write(write)

    @contextlib.asynccontextmanager
    async def dropped_without_row(self, file_id: str) -> AsyncIterator[None]:
        """Around the transaction that inserts the row: where there is certainly none, the content goes at once.

        Where that is unknown, a sweep finds out later.
        """
        try:
            yield
        except ServiceError as error:
            if error.code is not ErrorCode.STORAGE_UNAVAILABLE:
                await in_thread(lambda: self.path(file_id).unlink(missing_ok=True), "file.drop")
            raise

    async def find(self, owner: str, file_id: str) -> FileRecord:
        """Raises ServiceError: NOT_FOUND, also if it has expired or is another's; STORAGE_UNAVAILABLE."""
        query = self._visible(owner).where(files.c.id == file_id)
        return await self._db.read(lambda connection: _one(connection, query))

    def find_in(self, connection: Connection, owner: str, file_id: str) -> FileRecord:
        """For a caller's own transaction: until its end nobody deletes the file. Raises ServiceError(NOT_FOUND)."""
        query = self._visible(owner).where(files.c.id == file_id)
        return _one(connection, query.with_for_update(read=True))

    async def list(
        self, owner: str, *, purpose: str | None, limit: int, after: FilePlace | None, is_newest_first: bool
    ) -> tuple[list[FileRecord], bool]:
        """Up to `limit` files behind `after`, and whether there are more. Raises ServiceError(STORAGE_UNAVAILABLE)."""
        query = self._visible(owner)
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        if after is not None:
            query = query.where(_behind(after, is_newest_first=is_newest_first))
        order = [files.c.created_at, files.c.id]
        query = query.order_by(*(column.desc() if is_newest_first else column for column in order))
        rows = await self._db.read(lambda connection: connection.execute(query.limit(limit + 1)).all())
        return [_record(row) for row in rows[:limit]], len(rows) > limit

    async def delete(self, owner: str, file_id: str) -> None:
        """Raises ServiceError: NOT_FOUND; CONFLICT while a batch reads it; STORAGE_FULL, STORAGE_UNAVAILABLE."""
        await self._db.write(lambda connection: self._delete_row(connection, owner, file_id))
        await in_thread(lambda: self.path(file_id).unlink(missing_ok=True), "file.delete")

    def path(self, file_id: str) -> Path:
        """Where the content of a file lies that exists. `file_id` is one of ours: from a record, never a client's."""
        return self._folder / file_id

    async def read(self, file_id: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to but not including `end`, in pieces."""
        try:
            async with contextlib.aclosing(read_pieces(self.path(file_id), start, end)) as pieces:
                async for piece in pieces:
                    yield piece
        except FileNotFoundError as error:  # deleted after it was found
            raise _no_such_file() from error
        except OSError as error:
            raise disk_error(error) from error

    async def sweep(self) -> None:
        """Remove expired files and orphans, as far as the disk and the store allow now."""
        await self._sweeper.sweep()

    async def run(self) -> None:
        """Sweep for ever."""
        await self._sweeper.run()

    def _visible(self, owner: str) -> Select[tuple[object, ...]]:
        return select(*(files.c[name] for name in _COLUMNS)).where(
            files.c.owner == owner, files.c.expires_at > self._now()
        )

    def _delete_row(self, connection: Connection, owner: str, file_id: str) -> None:
        _one(connection, self._visible(owner).where(files.c.id == file_id).with_for_update())
        reading = select(batches.c.id).where(batches.c.input_file_id == file_id, batches.c.ended_at.is_(None))
        if connection.execute(reading.limit(1)).one_or_none() is not None:
            raise ServiceError(
                ErrorCode.CONFLICT, "a batch reads this file; cancel the batch or wait for its end"
            )
        connection.execute(delete(files).where(files.c.id == file_id))


def _behind(place: FilePlace, *, is_newest_first: bool) -> ColumnElement[bool]:
    created_at, file_id = files.c.created_at, files.c.id
    if is_newest_first:
        later = (created_at < place.created_at, file_id < place.id)
    else:
        later = (created_at > place.created_at, file_id > place.id)
    return or_(later[0], and_(created_at == place.created_at, later[1]))


def _one(connection: Connection, query: Select[tuple[object, ...]]) -> FileRecord:
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _no_such_file()
    return _record(row)


def _record(row: Row[tuple[object, ...]]) -> FileRecord:
    return FileRecord(**row._mapping)


def _no_such_file() -> ServiceError:
    return ServiceError(ErrorCode.NOT_FOUND, "there is no such file")
