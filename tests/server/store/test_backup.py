"""A damaged store is refused and left alone, and the command that the refusal names brings the newest backup back."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from server.store import CorruptStoreError, Store, StoreError, open_store
from server.store.backup import BackupError, Backups
from server.store.database import Database
from server.store.sqlite_file import backups_of, is_whole
from tests.fakes.fake_media import Clock

INSERT_KEY = (
    "INSERT INTO api_keys (id, digest, name, permissions, created_at)"
    " VALUES (:id, :id, :id, '[]', '2026-01-01 00:00:00')"
)
DAY_S = 86400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "the data" / "hearth.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{path}")) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock(1_795_000_000.0)


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Database]:
    made = Database(store)
    yield made
    made.close()


@pytest.fixture
def backups(database: Database, clock: Clock) -> Backups:
    return Backups(database, keep=2, now=clock)


def add_keys(store: Store, first: int, last: int) -> None:
    with store.transaction() as connection:
        for number in range(first, last):
            connection.execute(text(INSERT_KEY), {"id": f"{number:040}"})


def num_keys(path: Path) -> int:
    with closing(open_store(f"sqlite:///{path}")) as store, store.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM api_keys")).scalar_one())


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def damage(path: Path, kind: str) -> None:
    size = path.stat().st_size
    if kind == "header":
        overwrite(path, 0, b"\xde\xad" * 2048)
    elif kind == "pages":
        for start in range(4096, size, 8192):  # every second page's head
            overwrite(path, start, b"\xff" * 8)
    elif kind == "page":
        overwrite(path, size // 2 // 4096 * 4096, b"\xde\xad" * 2048)
    elif kind == "truncated":
        with path.open("r+b") as file:
            file.truncate(size // 2 + 100)
    elif kind == "zeros":
        overwrite(path, 0, bytes(size))
    elif kind == "empty":
        path.write_bytes(b"")


def run_named_command(path: Path) -> str:
    """Do what the refusal says; returns the command."""
    with pytest.raises(CorruptStoreError) as caught:
        open_store(f"sqlite:///{path}")
    command = str(caught.value).partition("Restore the newest backup: ")[2]
    subprocess.run(["sh", "-ec", command], check=True)
    return command


@pytest.mark.parametrize("kind", ["header", "page", "pages", "truncated", "zeros"])
def test_damaged_store_is_named_and_left_alone(store: Store, path: Path, kind: str) -> None:
    add_keys(store, 0, 400)
    store.close()
    damage(path, kind)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}

    with pytest.raises(CorruptStoreError) as caught:
        open_store(f"sqlite:///{path}")

    assert f"the store {path} is damaged" in str(caught.value)
    assert "There is no backup" in str(caught.value)
    assert caught.value.exit_status == 78
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("kind", ["header", "page", "truncated", "zeros", "empty"])
async def test_named_command_restores_the_newest_backup(
    store: Store, path: Path, backups: Backups, clock: Clock, kind: str
) -> None:
    add_keys(store, 0, 100)
    await backups.make(path)
    add_keys(store, 100, 200)
    clock.now += DAY_S
    newest = await backups.make(path)
    add_keys(store, 200, 300)
    store.close()
    damage(path, kind)

    command = run_named_command(path)

    assert str(newest) in command
    assert num_keys(path) == 200
    assert (path.parent / "damaged" / "hearth.db").exists()


async def test_journal_of_the_damaged_store_is_not_applied_to_the_backup(
    store: Store, path: Path, backups: Backups
) -> None:
    add_keys(store, 0, 10)
    await backups.make(path)
    store.close()
    damage(path, "zeros")
    journal = path.with_name("hearth.db-journal")
    journal.write_bytes(b"left by a crash")

    run_named_command(path)

    assert not journal.exists()
    assert num_keys(path) == 10


async def test_backup_is_private_and_whole_and_only_the_newest_stay(
    store: Store, path: Path, backups: Backups, clock: Clock
) -> None:
    made = []
    for _ in range(3):
        made.append(await backups.make(path))
        clock.now += DAY_S

    assert backups_of(path) == made[1:]
    assert made[0].name == "hearth-20261118T110640Z.db"
    assert {stat.S_IMODE(file.stat().st_mode) for file in made[1:]} == {0o600}
    assert stat.S_IMODE(made[1].parent.stat().st_mode) == 0o700
    assert [file.name for file in made[1].parent.iterdir() if file.suffix != ".db"] == []


async def test_backup_holds_every_commit_before_it_while_others_write(
    store: Store, path: Path, database: Database, backups: Backups
) -> None:
    async def write(number: int) -> None:
        row = {"id": f"{number:040}"}
        await database.write(lambda connection: connection.execute(text(INSERT_KEY), row).rowcount)

    await asyncio.gather(*map(write, range(50)))
    making = asyncio.create_task(backups.make(path))
    await asyncio.gather(*map(write, range(50, 100)))
    made = await making

    assert 50 <= num_keys(made) <= 100
    assert num_keys(path) == 100


async def test_backup_is_due_once_a_day_and_after_a_wrong_clock(
    store: Store, path: Path, backups: Backups, clock: Clock
) -> None:
    due = [backups.is_due(path)]
    await backups.make(path)
    for seconds in (0, DAY_S - 1, 1, -2 * DAY_S):
        clock.now += seconds
        due.append(backups.is_due(path))

    assert due == [True, False, False, True, True]


async def test_what_a_dead_process_left_is_removed(store: Store, path: Path, backups: Backups) -> None:
    left = path.parent / "backups" / "hearth-20250101T000000Z.partial"
    left.parent.mkdir()
    left.write_bytes(b"half")

    await backups.make(path)

    assert not left.exists()


async def test_no_backup_is_begun_without_room(store: Store, path: Path, database: Database) -> None:
    free = shutil.disk_usage(path.parent).free
    careful = Backups(database, keep=1, min_free_bytes=free * 2)

    with pytest.raises(BackupError, match="no room"):
        await careful.make(path)

    assert backups_of(path) == []


async def test_running_makes_the_first_backup_at_once_and_none_if_switched_off(
    store: Store, path: Path, database: Database, backups: Backups
) -> None:
    await Backups(database, keep=0).run()
    none_yet = backups_of(path)

    task = asyncio.create_task(backups.run())
    while not await asyncio.to_thread(backups_of, path):
        pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert none_yet == []
    assert len(backups_of(path)) == 1


def test_locked_store_is_not_called_damaged(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreError, match="is locked by another process") as caught:
            is_whole(path, timeout_s=0.05)

    assert not isinstance(caught.value, CorruptStoreError)
