"""API keys: made, listed, revoked, and checked without waiting. Knows no HTTP; of a secret it keeps only the
SHA-256.

`verify` reads a snapshot in memory. `run` refreshes it every two seconds, so that another process's changes
count here too; `verify_fresh` waits for a reading begun after the call, for keys made a moment ago.
"""

import asyncio
import hmac
import itertools
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType

import msgspec
from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from engines.contract.errors import ErrorCode
from server.caller import Caller, Permission
from server.errors import ServiceError
from server.store import Store
from server.store.schema import api_keys
from server.telemetry import log_event

PREFIX = "sgk_"
REFRESH_PERIOD_S = 2.0
MIN_REFRESH_GAP_S = 0.25
REFRESH_TIMEOUT_S = 2.0
LAST_USED_PERIOD_S = 60.0
FRESH_FOR_S = 10.0
_NEVER = float("inf")


class Secret:
    """A raw key. Prints as ***; only `reveal` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"


class KeyRecord(msgspec.Struct, frozen=True):
    """Metadata. `models` None: all. `created_by`: the id of the key that made it, None: the operator."""

    id: str
    name: str
    permissions: tuple[Permission, ...]
    models: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    created_by: str | None = None


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made: the only moment at which its secret exists here."""

    record: KeyRecord
    secret: Secret


class _Entry(msgspec.Struct, frozen=True):
    digest: bytes
    caller: Caller | None
    expires: float


_NOBODY = _Entry(digest=bytes(32), caller=None, expires=_NEVER)


class KeyRing:
    """The keys of one store. What is not async blocks, but for `verify`, `has_usable` and `is_fresh`."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float] = time.time,
        *,
        refresh_gap_s: float = MIN_REFRESH_GAP_S,
    ) -> None:
        self._store = store
        self._now = now
        self._refresh_gap_s = refresh_gap_s
        self._entries: Mapping[bytes, _Entry] = MappingProxyType({})
        self._living: Mapping[str, _Entry] = MappingProxyType({})
        self._reading_numbers = itertools.count(1)
        self._installed = 0
        self._read_at = -_NEVER
        self._next_reading: asyncio.Task[None] | None = None
        self._used: dict[str, float] = {}
        self.refresh()

    @property
    def store(self) -> Store:
        """Closed with the keys."""
        return self._store

    def create(
        self,
        name: str,
        permissions: Collection[Permission],
        models: Collection[str] | None = None,
        *,
        expires_at: datetime | None = None,
        created_by: str | None = None,
    ) -> NewKey:
        """Make a key and store its digest. Raises SQLAlchemyError."""
        secret = Secret(PREFIX + secrets.token_urlsafe(32))
        record = KeyRecord(
            id="apikey_" + secrets.token_hex(12),
            name=name,
            permissions=tuple(sorted(permissions)),
            models=None if models is None else tuple(sorted(models)),
            created_at=self._time(),
            expires_at=expires_at,
            created_by=created_by,
        )
        row = msgspec.to_builtins(record, builtin_types=(datetime,)) | {
            "digest": _digest(secret.reveal()).hex()
        }
        with self._store.transaction() as connection:
            connection.execute(insert(api_keys).values(row))
        self.refresh()
        log_event("key.created", key_id=record.id, actor=created_by or "operator")
        return NewKey(record, secret)

    def list(self, *, include_revoked: bool = False) -> list[KeyRecord]:
        """All keys, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if not include_revoked:
            query = query.where(api_keys.c.revoked_at.is_(None))
        with self._store.reading() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def revoke(self, key_id: str, actor: str | None = None) -> bool:
        """End a key for good, in this process at once. False if there is none or it was revoked before."""
        living = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        with self._store.transaction() as connection:
            revoked = connection.execute(
                update(api_keys).where(living).values(revoked_at=self._time())
            ).rowcount
        self.refresh()
        if revoked:
            log_event("key.revoked", key_id=key_id, actor=actor or "operator")
        return bool(revoked)

    def has_usable(self) -> bool:
        """Whether any key would be accepted now."""
        return any(
            entry.caller is not None and self._now() < entry.expires for entry in self._entries.values()
        )

    def is_fresh(self) -> bool:
        """Whether the store could be read lately."""
        return time.monotonic() - self._read_at < FRESH_FOR_S

    def verify(self, secret: str) -> Caller | None:
        """The owner of `secret`, or None. Microseconds, and the same work whatever is wrong with it."""
        digest = _digest(secret)
        entry = self._entries.get(digest, _NOBODY)
        now = self._now()
        is_known = hmac.compare_digest(digest, entry.digest)
        is_alive = now < entry.expires
        if not (is_known and is_alive) or entry.caller is None:
            return None
        self._used[entry.caller.key_id] = now
        return entry.caller

    async def verify_fresh(self, secret: str) -> Caller | None:
        """`verify` against the store as it is now. Readings are shared and a quarter of a second apart."""
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_after_gap(), name="keys.refresh")
        try:
            await asyncio.wait_for(asyncio.shield(self._next_reading), REFRESH_TIMEOUT_S)
        except TimeoutError:
            log_event("keys.refresh_slow", timeout_s=REFRESH_TIMEOUT_S)
        return self.verify(secret)

    async def owner(self, key_id: str) -> Caller | None:
        """Who the living key of that id is; None if there is none. Raises ServiceError(STORAGE_UNAVAILABLE) where the
        store cannot be read: nobody is taken for gone then.
        """
        found = self._by_id(key_id)
        if found is None:
            await self._read()
            if time.monotonic() - self._read_at > REFRESH_TIMEOUT_S:
                raise ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "the keys cannot be read now")
            found = self._by_id(key_id)
        return found

    def _by_id(self, key_id: str) -> Caller | None:
        entry = self._living.get(key_id)
        return entry.caller if entry is not None and self._now() < entry.expires else None

    async def run(self) -> None:
        """Refresh the snapshot and write when keys were last used, until cancelled."""
        written_at = time.monotonic()
        while True:
            await asyncio.sleep(REFRESH_PERIOD_S)
            await self._read()
            if time.monotonic() - written_at >= LAST_USED_PERIOD_S:
                written_at = time.monotonic()
                await self._write_last_used()

    def refresh(self) -> None:
        """Read all keys that are not revoked. Raises SQLAlchemyError."""
        self._install(*self._begin_reading())

    def _begin_reading(self) -> tuple[int, Sequence[RowMapping]]:
        number = next(self._reading_numbers)
        living = select(api_keys).where(api_keys.c.revoked_at.is_(None))
        with self._store.reading() as connection:
            return number, connection.execute(living).mappings().all()

    def _install(self, number: int, rows: Sequence[RowMapping]) -> None:
        if number < self._installed:  # a slow reading must not undo a revocation that came after it
            return
        self._installed = number
        self._read_at = time.monotonic()
        self._entries = {bytes.fromhex(row["digest"]): _entry(row["digest"], _record(row)) for row in rows}
        self._living = {entry.caller.key_id: entry for entry in self._entries.values() if entry.caller}

    def flush_last_used(self) -> None:
        """Store when keys were last used. Raises SQLAlchemyError."""
        used, self._used = self._used, {}
        if not used:
            return
        with self._store.transaction() as connection:
            for key_id, moment in sorted(used.items()):  # in one order everywhere, so that nobody deadlocks
                seen = update(api_keys).where(api_keys.c.id == key_id)
                connection.execute(seen.values(last_used_at=datetime.fromtimestamp(moment, UTC)))

    def close(self) -> None:
        """Write when keys were last used, if that can be written, and close the store."""
        try:
            self.flush_last_used()
        except SQLAlchemyError as error:
            log_event("keys.last_used_lost", exception=error)
        self._store.close()

    async def _read_after_gap(self) -> None:
        await asyncio.sleep(max(0.0, self._read_at + self._refresh_gap_s - time.monotonic()))
        self._next_reading = None  # whoever comes now needs a later reading
        await self._read()

    async def _read(self) -> None:
        try:
            await asyncio.to_thread(self.refresh)
        except SQLAlchemyError as error:
            log_event("keys.refresh_failed", exception=error)

    async def _write_last_used(self) -> None:
        try:
            await asyncio.to_thread(self.flush_last_used)
        except SQLAlchemyError as error:
            log_event("keys.last_used_lost", exception=error)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _record(row: RowMapping) -> KeyRecord:
    fields = {name: row[name] for name in KeyRecord.__struct_fields__}
    known = frozenset(Permission)  # a newer server may have written others
    fields["permissions"] = [name for name in row["permissions"] if name in known]
    return msgspec.convert(fields, KeyRecord)


def _entry(digest: str, record: KeyRecord) -> _Entry:
    caller = Caller(
        key_id=record.id,
        name=record.name,
        permissions=frozenset(record.permissions),
        models=None if record.models is None else frozenset(record.models),
    )
    return _Entry(
        digest=bytes.fromhex(digest),
        caller=caller,
        expires=record.expires_at.timestamp() if record.expires_at else _NEVER,
    )
