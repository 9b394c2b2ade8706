"""Retention of files: what has expired, and what a crash has left without a row. Knows no owner.

Content goes before its row: on a full disk no row can be deleted, but removing content makes room. Wherever a sweep is
interrupted, the next one finds the rest.
"""

import asyncio
import contextlib
import itertools
import stat
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, exists, select

from server import failpoints
from server.disk import disk_error, in_thread, make_folder
from server.errors import ServiceError
from server.files.draft import INCOMING
from server.store.database import Database
from server.store.schema import batches, files
from server.telemetry import log_event

SWEEP_EVERY_S = 60.0
ORPHANS_EVERY = 60  # sweeps
ORPHAN_AGE_S = 3600.0
GRACE = timedelta(minutes=1)  # a batch whose file expires while it is being made still gets its content
_MAX_ROWS = 500  # of one round, to be deleted in one statement


class Sweeper:
    """Safe beside other servers with the same folder and store."""

    def __init__(self, db: Database, folder: Path, now: Callable[[], datetime]) -> None:
        self._db = db
        self._folder = folder
        self._now = now

    async def start(self) -> None:
        """Before the first draft. What lies in `incoming` is nobody's, unless another server may be writing it."""
        await in_thread(self._start, "files.start")

    async def run(self) -> None:
        """What has expired every minute; orphans every hour, since looking for them reads the whole folder."""
        for number in itertools.count():
            try:
                await self.sweep(has_orphans=number % ORPHANS_EVERY == 0)
            except ServiceError as error:
                log_event("files.unswept", reason=error.message)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, *, has_orphans: bool = True) -> None:
        """Raises ServiceError: STORAGE_FULL if rows cannot be deleted now, STORAGE_UNAVAILABLE, INTERNAL_ERROR."""
        if num_expired := await self._sweep_expired():
            log_event("files.swept", kind="expired", count=num_expired)
        if has_orphans and (num_orphans := await self._sweep_orphans()):
            log_event("files.swept", kind="orphans", count=num_orphans)

    async def _sweep_expired(self) -> int:
        num_swept = 0
        while expired := await self._db.read(self._expired):
            await self._unlink([self._folder / file_id for file_id in expired])
            failpoints.reach("sweep.deleted")
            await self._delete_rows(expired)
            num_swept += len(expired)
        return num_swept

    def _expired(self, connection: Connection) -> list[str]:
        being_read = exists().where(batches.c.input_file_id == files.c.id, batches.c.ended_at.is_(None))
        query = select(files.c.id).where(files.c.expires_at <= self._now() - GRACE, ~being_read)
        return list(connection.execute(query.limit(_MAX_ROWS)).scalars())

    async def _delete_rows(self, ids: list[str]) -> None:
        await self._db.write(lambda connection: connection.execute(delete(files).where(files.c.id.in_(ids))))

    async def _sweep_orphans(self) -> int:
        """Content is looked for before rows: a file in the making has a row in time, or is too young."""
        old = await in_thread(self._old, "files.look")
        num_swept = 0
        for first in range(0, len(old), _MAX_ROWS):
            some = old[first : first + _MAX_ROWS]
            known = await self._known([path.name for path in some])
            orphans = [path for path in some if path.name not in known]
            await self._unlink(orphans)
            num_swept += len(orphans)
        return num_swept

    async def _known(self, ids: list[str]) -> frozenset[str]:
        query = select(files.c.id).where(files.c.id.in_(ids))
        return await self._db.read(lambda connection: frozenset(connection.execute(query).scalars()))

    def _old(self) -> list[Path]:
        """Content, sealed or not, that nobody has written to for `ORPHAN_AGE_S`. Blocks."""
        newest = self._now().timestamp() - ORPHAN_AGE_S
        found = []
        try:
            for path in (*self._folder.iterdir(), *(self._folder / INCOMING).iterdir()):
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode) and status.st_mtime <= newest:
                        found.append(path)
        except OSError as error:
            raise disk_error(error) from error
        return found

    async def _unlink(self, paths: Iterable[Path]) -> None:
        await in_thread(lambda: _unlink_all(paths), "files.sweep")

    def _start(self) -> None:
        incoming = self._folder / INCOMING
        try:
            make_folder(incoming)
            if not self._db.is_shared:
                _unlink_all(incoming.iterdir())
        except OSError as error:
            raise disk_error(error) from error


def _unlink_all(paths: Iterable[Path]) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error) from error
