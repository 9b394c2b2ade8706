"""Daily copies of a SQLite store, made while the server runs, each whole or not there. Knows no table.

A copy is made between two commits: with a rollback journal a reader that takes longer than the busy timeout would make
commits fail, so they wait for it instead.
"""

import asyncio
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from server.errors import ServiceError
from server.store.database import Database
from server.store.engine import Store
from server.store.sqlite_file import backup_folder, backups_of, is_whole
from server.telemetry import log_event

EVERY = timedelta(days=1)
LOOK_EVERY_S = 3600.0
STAMP = "%Y%m%dT%H%M%SZ"
_FAULTS = (OSError, sqlite3.Error, SQLAlchemyError, ServiceError)


class BackupError(OSError):
    """There is no room, or the copy is not whole."""


class Backups:
    """`keep` 0, or a store that is no file: none are made. `now` is Unix time."""

    def __init__(
        self, db: Database, *, keep: int, min_free_bytes: int = 0, now: Callable[[], float] = time.time
    ) -> None:
        self._db = db
        self._keep = keep
        self._min_free_bytes = min_free_bytes
        self._now = now

    async def run(self) -> None:
        """Look every hour whether one is due, for ever."""
        while (path := self._db.path) is not None and self._keep > 0:
            try:
                if await asyncio.to_thread(self.is_due, path):
                    await self.make(path)
            except _FAULTS as error:
                log_event("store.backup_failed", level=logging.ERROR, exception=error)
            await asyncio.sleep(LOOK_EVERY_S)

    def is_due(self, path: Path) -> bool:
        """Also where the newest one is of a time to come: a clock was wrong."""
        if not (backups := backups_of(path)):
            return True
        stamp = backups[-1].stem.removeprefix(f"{path.stem}-")
        made_at = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        return not timedelta(0) <= self._time() - made_at < EVERY

    async def make(self, path: Path) -> Path:
        """The new backup of the store at `path`. Raises OSError, sqlite3.Error."""
        began = time.monotonic()
        target = backup_folder(path) / f"{path.stem}-{self._time():{STAMP}}.db"
        aside = target.with_suffix(".partial")
        await asyncio.to_thread(self._prepare, path, aside)
        try:
            await self._db.between_commits(lambda store: _copy(store, aside))
            await asyncio.to_thread(_publish, aside, target)
        finally:
            aside.unlink(missing_ok=True)
        for old in backups_of(path)[: -self._keep]:
            old.unlink()
        size_bytes, duration_s = target.stat().st_size, round(time.monotonic() - began, 3)
        log_event("store.backed_up", file=target.name, size_bytes=size_bytes, duration_s=duration_s)
        return target

    def _prepare(self, path: Path, aside: Path) -> None:
        """An empty private file, in a folder that has room."""
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        for left in aside.parent.glob("*.partial"):  # of a process that died
            left.unlink()
        if shutil.disk_usage(aside.parent).free < path.stat().st_size + self._min_free_bytes:
            raise BackupError("no room for a backup of the store")
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _copy(store: Store, aside: Path) -> None:
    with closing(sqlite3.connect(aside)) as target, closing(store.engine.raw_connection()) as source:
        target.execute("PRAGMA synchronous = OFF")  # it is synced as a whole before it gets its name
        source.driver_connection.backup(target)  # type: ignore[union-attr]  # of SQLite it is there


def _publish(aside: Path, target: Path) -> None:
    if not is_whole(aside):
        raise BackupError("the backup of the store is not whole")
    _sync(aside)
    aside.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
