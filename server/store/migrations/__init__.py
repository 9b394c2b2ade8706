"""How a store reaches the schema of this version: Alembic's revisions in `versions/`, all in one transaction.

A revision is never edited after a release; it spells its DDL itself, because `schema.py` moves on. There is no env.py:
the connection is ours, and the revisions are found beside this file, wherever the package is installed.
"""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

VERSIONS = Path(__file__).with_name("versions")
HEAD = "head"
_OWN_SCHEME = (
    "schema_version"  # table of the stores before Alembic; its numbers are those of our first revisions
)
_ADVISORY_LOCK = 7265617274


class StoreTooNewError(Exception):
    """A newer server has written this store."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(
            f"the store has schema {found}, this version knows up to {known}: use the newer server"
        )


def migrate(engine: Engine, versions: Path = VERSIONS) -> str:
    """Bring the store to the newest revision and return it. Raises StoreTooNewError; a revision that fails leaves no
    trace of any.
    """
    script = ScriptDirectory(str(VERSIONS.parent), version_locations=[str(versions)])
    newest = script.get_current_head() or "base"
    with engine.begin() as connection:
        _wait_for_turn(connection)
        context = MigrationContext.configure(connection)
        stamped = context.get_current_revision()
        current = stamped or _take_over(connection)
        known = {revision.revision for revision in script.walk_revisions()}
        if current is not None and current not in known:
            raise StoreTooNewError(current, newest)
        pending = [] if current == newest else list(script.iterate_revisions(HEAD, current))
        with Operations.context(context):
            for revision in reversed(pending):
                revision.module.upgrade()
        if stamped != newest:
            context.stamp(script, HEAD)
    return newest


def _wait_for_turn(connection: Connection) -> None:
    """Two processes that start together migrate one after the other; SQLite began with the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))


def _take_over(connection: Connection) -> str | None:
    """The revision of a store that was made before Alembic, whose own table goes."""
    if not inspect(connection).has_table(_OWN_SCHEME):
        return None
    number = connection.execute(text(f"SELECT version FROM {_OWN_SCHEME}")).scalar()
    connection.execute(text(f"DROP TABLE {_OWN_SCHEME}"))
    return None if number is None else f"{number:04}"
