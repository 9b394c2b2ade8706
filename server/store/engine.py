"""Opening the store: a SQLite file with safe settings, or PostgreSQL by URL. Knows no table.

SQLite syncs every commit before it is acknowledged (docs/decisions/0023). WAL only from 3.51.3 on: before it two
connections can corrupt the file (the WAL-reset race).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from server.store.migrations import StoreTooNewError, migrate

BUSY_TIMEOUT_MS = 5000
POOL_TIMEOUT_S = 5
PEER_GONE_MS = 10_000
IDLE_TRANSACTION_MS = 15_000
FIRST_SAFE_WAL = (3, 51, 3)


class StoreError(Exception):
    """The store cannot be opened; the message tells the operator what to do and holds no password."""


class CorruptStoreError(StoreError):
    """The file is damaged. It is left as it is."""


class Store:
    """An open, migrated store. All calls block: off the event loop only."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any exception. Raises SQLAlchemyError."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads, so it waits for no writer's lock. Raises SQLAlchemyError."""
        with self.engine.connect() as connection:
            yield connection.execution_options(only_reads=True)

    def close(self) -> None:
        self.engine.dispose()


def open_store(url: str) -> Store:
    """Open, check and migrate. Creates a SQLite file that does not exist. Raises StoreError."""
    target = make_url(url)
    engine = _sqlite(target) if target.get_backend_name() == "sqlite" else _postgresql(target)
    try:
        migrate(engine)
    except StoreTooNewError as error:
        engine.dispose()
        raise StoreError(str(error)) from error
    except SQLAlchemyError as error:
        engine.dispose()
        shown = target.set(query={}).render_as_string(hide_password=True)
        raise StoreError(f"cannot use the store {shown}: {type(error).__name__}") from error
    return Store(engine)


def journal_mode(library: tuple[int, ...]) -> str:
    return "WAL" if library >= FIRST_SAFE_WAL else "DELETE"


def synchronous(mode: str) -> str:
    """What makes a commit durable: EXTRA also syncs the folder after a rollback journal was unlinked."""
    return "FULL" if mode == "WAL" else "EXTRA"


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args={"connect_timeout": POOL_TIMEOUT_S, "tcp_user_timeout": PEER_GONE_MS},
    )
    event.listen(engine, "connect", _bound_idle_transactions)
    return engine


def _bound_idle_transactions(connection: psycopg.Connection, entry: ConnectionPoolEntry) -> None:
    """A server that is stopped within a transaction must not hold its locks against the others for ever."""
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_MS}".encode())
    connection.commit()


def _sqlite(url: URL) -> Engine:
    if url.database is None or url.database == ":memory:":
        raise StoreError("a SQLite store needs a file: sqlite:///path/to/hearth.db")
    path = Path(url.database)
    _make_private(path)
    engine = create_engine(url, hide_parameters=True, pool_timeout=POOL_TIMEOUT_S)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    _refuse_damage(engine, path)
    return engine


def _make_private(path: Path) -> None:
    """Keys' digests live here: only our own user may read the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(f"cannot write the store {path}: {error.strerror}") from error


def _configure(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, so that DDL is transactional too
    mode = journal_mode(sqlite3.sqlite_version_info)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        f"journal_mode = {mode}",
        f"synchronous = {synchronous(mode)}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get("only_reads", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _refuse_damage(engine: Engine, path: Path) -> None:
    try:
        with engine.connect() as connection:
            verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar()
    except DatabaseError as error:
        if "locked" in str(error.orig):
            raise StoreError(f"the store {path} is locked by another process") from error
        verdict = "not a database"
    if verdict != "ok":
        engine.dispose()
        raise CorruptStoreError(
            f"the store {path} is damaged; it was not changed. Stop the server, move the file away and"
            f" restore a backup to the same path (`sqlite3 {path} .recover` may save what is readable)"
        )
