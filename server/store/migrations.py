"""How a store reaches the schema of this version: numbered steps, each in one transaction with its number.

A step is never edited after a release; it spells its DDL itself, because `schema.py` moves on.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, delete, insert, select, text

from server.store.schema import batch_lines, batches, files, idempotency_keys, metadata, schema_version


class StoreTooNewError(Exception):
    """A newer server has written this store."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"the store has schema {found}, this version knows up to {known}: use the newer server"
        )


def _create_api_keys(connection: Connection) -> None:
    time = "TIMESTAMP WITH TIME ZONE" if connection.dialect.name == "postgresql" else "DATETIME"
    connection.execute(
        text(
            "CREATE TABLE api_keys ("
            " id VARCHAR(40) NOT NULL PRIMARY KEY, digest VARCHAR(64) NOT NULL UNIQUE,"
            f" name VARCHAR(200) NOT NULL, permissions JSON NOT NULL, models JSON,"
            f" created_at {time} NOT NULL, expires_at {time},"
            f" revoked_at {time}, last_used_at {time}, created_by VARCHAR(40))"
        )
    )


def _create_batches(connection: Connection) -> None:
    metadata.create_all(connection, tables=[files, batches, batch_lines, idempotency_keys], checkfirst=False)


STEPS: tuple[Callable[[Connection], None], ...] = (_create_api_keys, _create_batches)


def migrate(engine: Engine, steps: tuple[Callable[[Connection], None], ...] = STEPS) -> int:
    """Bring the store to the newest schema and return its number. Raises StoreTooNewError; a failed step
    leaves no trace.
    """
    with engine.begin() as connection:
        _lock(connection)
        schema_version.create(connection, checkfirst=True)
        current = connection.execute(select(schema_version.c.version)).scalar() or 0
        if current > len(steps):
            raise StoreTooNewError(current, len(steps))
        for step in steps[current:]:
            step(connection)
        if current < len(steps):
            connection.execute(delete(schema_version))
            connection.execute(insert(schema_version).values(version=len(steps)))
    return len(steps)


def _lock(connection: Connection) -> None:
    """Two processes that start together migrate one after the other."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(7265617274)"))
