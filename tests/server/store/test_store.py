"""Opening a store: safe settings, migrations, and refusals that name the file and the way out."""

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from server.store import StoreError, open_store
from server.store.engine import journal_mode, synchronous


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_new_store_is_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "data" / "hearth.db"
    store = open_store(url_of(path))

    with store.reading() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("synchronous", "foreign_keys", "busy_timeout", "journal_mode")
        }

    store.close()
    mode = journal_mode(sqlite3.sqlite_version_info)
    assert pragmas == {
        "synchronous": {"FULL": 2, "EXTRA": 3}[synchronous(mode)],
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "journal_mode": mode.lower(),
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("library", "mode"),
    [((3, 40, 1), "DELETE"), ((3, 51, 2), "DELETE"), ((3, 51, 3), "WAL"), ((3, 54, 1), "WAL")],
)
def test_wal_waits_for_the_library_without_the_reset_race(library: tuple[int, ...], mode: str) -> None:
    assert journal_mode(library) == mode


def test_folder_is_synced_too_where_a_journal_is_unlinked() -> None:
    assert {mode: synchronous(mode) for mode in ("DELETE", "WAL")} == {"DELETE": "EXTRA", "WAL": "FULL"}


def test_readers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    store = open_store(url_of(tmp_path / "hearth.db"))

    with store.reading() as first, store.reading() as second:
        query = text("SELECT count(*) FROM api_keys")
        found = [first.execute(query).scalar(), second.execute(query).scalar()]

    store.close()
    assert found == [0, 0]


def test_transaction_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    store = open_store(url_of(tmp_path / "hearth.db"))

    def fail_half_way() -> None:
        with store.transaction() as connection:
            connection.execute(text("CREATE TABLE half (a INTEGER)"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail_half_way()

    with store.reading() as connection:
        tables = inspect(connection).get_table_names()
    store.close()
    assert "half" not in tables


def test_unwritable_place_is_told_in_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(StoreError, match="cannot write the store"):
        open_store(url_of(blocked / "hearth.db"))


def test_unreachable_database_is_told_without_its_password() -> None:

    with pytest.raises(StoreError) as caught:
        open_store("postgresql://hearth:pa55word@127.0.0.1:1/hearth?sslpassword=pa55word")

    assert "127.0.0.1" in str(caught.value)
    assert "pa55word" not in str(caught.value)
