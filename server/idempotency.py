"""Requests that may be sent twice: the answer of the first is kept under its `Idempotency-Key`. Knows no route.

A row without an answer says that its holder, a server process, runs the first request. It frees the key when that
fails; where it cannot, because it died or the store did not answer, the row counts as free: at once if no living
process can hold it, on a store that several servers share after fifteen minutes. A request that lost its key that way
is told when it wants to commit (`Once.remember`), so one key never makes two objects.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from engines.contract.errors import ErrorCode
from server.errors import ServiceError, invalid
from server.store.database import Database
from server.store.schema import idempotency_keys as rows
from server.telemetry import log_event

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(hours=24)
HELD_FOR = timedelta(minutes=15)
SWEEP_EVERY_S = 3600.0
_VISIBLE = re.compile(r"[!-~]{1,255}")


class _Stored(NamedTuple):
    fingerprint: str
    answer: bytes


class Once:
    """One request under its key, or under none: then every request is a first one."""

    def __init__(self, held: ColumnElement[bool] | None = None, stored: _Stored | None = None) -> None:
        self._held = held  # finds the row while it is ours and without an answer
        self._stored = stored
        self._fingerprint: str | None = None
        self.is_remembered = False

    async def recall(self, fingerprint: str) -> bytes | None:
        """The answer of the first request; None if this is the first. `fingerprint` stands for all that is asked for,
        in at most 64 characters. Raises ServiceError(VALIDATION_ERROR) if something else was asked for first.
        """
        self._fingerprint = fingerprint
        if self._stored is None:
            return None
        if self._stored.fingerprint != fingerprint:
            raise invalid(HEADER, "was used for a request that asked for something else")
        return self._stored.answer

    def remember(self, connection: Connection, answer: bytes) -> None:
        """Keep `answer`, in the transaction that makes what it tells of; after `recall`. Raises ServiceError(CONFLICT)
        if another request took the key over: then that transaction must fail too.
        """
        if self._held is None:
            return
        kept = update(rows).where(self._held).values(fingerprint=self._fingerprint, answer=answer)
        if connection.execute(kept).rowcount != 1:
            raise _conflict()
        self.is_remembered = True

    def free(self, connection: Connection) -> None:
        """Unless the answer is kept already."""
        if self._held is not None:
            connection.execute(delete(rows).where(self._held))


class Idempotency:
    """`holder` is the id of this server process; `now` is Unix time."""

    def __init__(self, db: Database, holder: str, now: Callable[[], float] = time.time) -> None:
        self._db = db
        self._holder = holder
        self._now = now
        self._running: set[tuple[str, str]] = set()  # first requests of this process

    @contextlib.asynccontextmanager
    async def begin(self, owner: str, key: str | None) -> AsyncIterator[Once]:
        """Hold the key, if there is one, until the end; freed then, unless an answer was remembered.

        Raises ServiceError: VALIDATION_ERROR for a key that is none, CONFLICT while another request holds it.
        """
        if key is None:
            yield Once()
            return
        if not _VISIBLE.fullmatch(key):
            raise invalid(HEADER, "must be 1 to 255 visible ASCII characters")
        if (owner, key) in self._running:
            raise _conflict()
        self._running.add((owner, key))
        try:
            since = self._time()
            stored = await self._claim(owner, key, since)
            if stored is None:
                async with self._freed_after(Once(held=self._held(owner, key, since))) as once:
                    yield once
                return
        finally:
            self._running.discard((owner, key))
        yield Once(stored=stored)

    async def sweep(self) -> int:
        """Drop what is older than a day; how many that were."""
        old = delete(rows).where(rows.c.created_at < self._time() - KEPT_FOR)
        return await self._db.write(lambda connection: connection.execute(old).rowcount)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
            except ServiceError as error:
                log_event("idempotency.unswept", reason=error.message)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _claim(self, owner: str, key: str, now: datetime) -> _Stored | None:
        """What is stored, or None: then the key is ours since `now`."""
        here = _row_of(owner, key)
        ours = insert(rows).values(owner=owner, key=key, holder=self._holder, created_at=now)

        def find_or_insert(connection: Connection) -> _Stored | None:
            found = connection.execute(select(rows).where(here)).mappings().one_or_none()
            if found is not None:
                if (stored := self._judge(found, now)) is not None:
                    return stored
                connection.execute(delete(rows).where(here, rows.c.created_at == found["created_at"]))
            connection.execute(ours)
            return None

        try:
            return await self._db.write(find_or_insert)
        except IntegrityError:  # another server was faster
            raise _conflict() from None

    def _judge(self, found: RowMapping, now: datetime) -> _Stored | None:
        """What the row keeps; None: it counts for nothing. Raises ServiceError(CONFLICT) if its holder is at it."""
        if found["answer"] is not None:
            is_kept = found["created_at"] > now - KEPT_FOR
            return _Stored(found["fingerprint"], found["answer"]) if is_kept else None
        if not self._is_abandoned(found, now):
            raise _conflict()
        return None

    def _is_abandoned(self, found: RowMapping, now: datetime) -> bool:
        """Of this process only those in `_running` live; a store that is not shared has no other process."""
        is_foreign = self._db.is_shared and found["holder"] != self._holder
        return not is_foreign or found["created_at"] < now - HELD_FOR

    @contextlib.asynccontextmanager
    async def _freed_after(self, once: Once) -> AsyncIterator[Once]:
        has_failed = True
        try:
            yield once
            has_failed = False
        finally:
            if has_failed or not once.is_remembered:
                await self._free(once)

    async def _free(self, once: Once) -> None:
        try:
            await self._db.write(once.free)
        except ServiceError as error:  # the row counts as abandoned all the same
            log_event("idempotency.unfreed", reason=error.message)

    def _held(self, owner: str, key: str, since: datetime) -> ColumnElement[bool]:
        is_ours = (rows.c.holder == self._holder) & (rows.c.created_at == since)
        return and_(_row_of(owner, key), is_ours, rows.c.answer.is_(None))

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _row_of(owner: str, key: str) -> ColumnElement[bool]:
    return and_(rows.c.owner == owner, rows.c.key == key)


def _conflict() -> ServiceError:
    return ServiceError(ErrorCode.CONFLICT, f"a request with this {HEADER} is under way")
