"""Every way to the schema of this version ends there, and a way that fails leaves the store as it was."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from server.store import Store, StoreError, open_store
from server.store.migrations import VERSIONS, StoreTooNewError, migrate
from server.store.schema import metadata

NEWEST = "0003"


def revisions(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def tables(store: Store) -> set[str]:
    with store.reading() as connection:
        return set(inspect(connection).get_table_names())


def execute(store: Store, *statements: str) -> None:
    with store.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def make_old_store(url: str, version: int) -> None:
    """A store as versions before Alembic left it."""
    store = open_store(url)
    tables = ["batch_lines", "batches", "files", "idempotency_keys", "memory_peaks"]
    later = ["load_times", *(tables if version == 1 else [])]
    execute(
        store,
        "INSERT INTO api_keys (id, digest, name, permissions, created_at)"
        " VALUES ('apikey_1', 'd', 'n', '[]', '2026-01-01 00:00:00')",
        "DROP TABLE alembic_version",
        "CREATE TABLE schema_version (version INTEGER NOT NULL)",
        f"INSERT INTO schema_version VALUES ({version})",
        *(f"DROP TABLE {table}" for table in later),
    )
    store.close()


def test_migrated_schema_is_the_one_that_the_code_uses(store_url: str) -> None:
    store = open_store(store_url)

    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        differences = compare_metadata(context, metadata)

    store.close()
    assert differences == []


def test_opening_again_changes_nothing(store_url: str) -> None:
    for _ in range(2):
        store = open_store(store_url)

        assert revisions(store) == [NEWEST]
        store.close()


@pytest.mark.parametrize("version", [1, 2])
def test_store_from_before_alembic_is_taken_over(store_url: str, version: int) -> None:
    make_old_store(store_url, version)

    store = open_store(store_url)

    with store.reading() as connection:
        keys = connection.execute(text("SELECT id FROM api_keys")).scalars().all()
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert (revisions(store), keys, differences) == ([NEWEST], ["apikey_1"], [])
    assert "schema_version" not in tables(store)
    store.close()


def test_older_server_refuses_a_newer_store(store_url: str) -> None:
    store = open_store(store_url)
    execute(store, "UPDATE alembic_version SET version_num = '0099'")
    store.close()

    with pytest.raises(StoreError, match=f"schema 0099, this version knows up to {NEWEST}") as caught:
        open_store(store_url)

    assert isinstance(caught.value.__cause__, StoreTooNewError)


def test_newer_store_of_the_own_scheme_is_refused_and_kept(store_url: str) -> None:
    make_old_store(store_url, 2)
    store = open_store(store_url)
    execute(
        store,
        "DROP TABLE alembic_version",
        "CREATE TABLE schema_version (version INTEGER NOT NULL)",
        "INSERT INTO schema_version VALUES (99)",
    )

    with pytest.raises(StoreError, match="schema 0099, this version knows up to"):
        open_store(store_url)

    assert "schema_version" in tables(store)
    store.close()


def test_revision_that_fails_leaves_the_store_as_it_was(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    before = tables(store)
    versions = tmp_path / "versions"
    versions.mkdir()
    for path in VERSIONS.glob("0*.py"):
        (versions / path.name).write_text(path.read_text())
    for number, ddl in ((4, "CREATE TABLE half (a INTEGER)"), (5, "CREATE TABLE half (a INTEGER)")):
        (versions / f"000{number}_half.py").write_text(
            f"from alembic import op\nrevision = '000{number}'\ndown_revision = '000{number - 1}'\n\n"
            f"def upgrade():\n    op.execute('{ddl}')\n"
        )

    with pytest.raises((OperationalError, ProgrammingError), match="already exists"):
        migrate(store.engine, versions)

    assert (tables(store), revisions(store)) == (before, [NEWEST])
    store.close()


def test_two_that_start_together_migrate_one_after_the_other(store_url: str) -> None:
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(open_store(store_url))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [revisions(store) for store in opened] == [[NEWEST]] * 4
    for store in opened:
        store.close()
