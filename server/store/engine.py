"""Opening the store: a SQLite file with safe settings, or PostgreSQL by URL. Knows no table.

SQLite syncs every commit before it is acknowledged (docs/decisions/0023). WAL only from 3.51.3 on: before it two
connections can corrupt the file (the WAL-reset race).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from server.store.migrations import StoreTooNewError, migrate
from server.store.sqlite_file import BUSY_TIMEOUT_MS, StoreError, make_private, refuse_damage

POOL_TIMEOUT_S = 5
PEER_GONE_MS = 10_000
IDLE_TRANSACTION_MS = 15_000
FIRST_SAFE_WAL = (3, 51, 3)


class Store:
    """An open, migrated store. All calls block: off the event loop only."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        return path_of(self.engine.url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any exception. Raises SQLAlchemyError."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads: it sees one moment and waits for no writer. Raises SQLAlchemyError."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":  # by default it sees a moment a statement
                connection.execution_options(isolation_level="REPEATABLE READ")
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


def reach(url: str) -> None:
    """Ask a PostgreSQL store for nothing, and change nothing. Blocks. Raises SQLAlchemyError."""
    engine = _postgresql(make_url(url))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    finally:
        engine.dispose()


def path_of(url: URL | str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    target = make_url(url)
    is_file = target.get_backend_name() == "sqlite" and target.database not in (None, "", ":memory:")
    return Path(str(target.database)) if is_file else None


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
    if (path := path_of(url)) is None:
        raise StoreError("a SQLite store needs a file: sqlite:///path/to/hearth.db")
    make_private(path)
    refuse_damage(path)
    engine = create_engine(url, hide_parameters=True, pool_timeout=POOL_TIMEOUT_S)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


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
