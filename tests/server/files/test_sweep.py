"""What has expired goes, content first; what a crash has left goes when it is old; nothing else goes."""

import contextlib
import os
from pathlib import Path

from sqlalchemy import func, insert, select, update

from server.disk import DiskGuard
from server.files import FileStore
from server.store import open_store
from server.store.database import Database
from server.store.schema import batches
from server.store.schema import files as table
from tests.fakes.tiny_disk import tiny_disk
from tests.server.files.batches import batch_row
from tests.server.files.conftest import OWNER, WallClock, put


async def num_rows(db: Database) -> int:
    return await db.read(
        lambda connection: int(connection.execute(select(func.count(table.c.id))).scalar_one())
    )


async def test_expired_files_go_with_their_rows(files: FileStore, db: Database, clock: WallClock) -> None:
    expired = [await put(files, life_s=3600) for _ in range(3)]
    kept = await put(files, life_s=7200)
    clock.advance(3700)

    await files.sweep()

    assert [files.path(record.id).exists() for record in (*expired, kept)] == [False, False, False, True]
    assert (await files.find(OWNER, kept.id), await num_rows(db)) == (kept, 1)


async def test_input_of_a_batch_stays_until_the_batch_has_ended(
    files: FileStore, db: Database, clock: WallClock
) -> None:
    record = await put(files, life_s=3600)
    await db.write(
        lambda connection: connection.execute(insert(batches).values(batch_row(record.id, clock())))
    )
    clock.advance(8000)

    await files.sweep()
    is_kept = files.path(record.id).exists()
    await db.write(lambda connection: connection.execute(update(batches).values(ended_at=clock())))
    await files.sweep()

    assert (is_kept, files.path(record.id).exists(), await num_rows(db)) == (True, False, 0)


async def test_sweep_ends_what_another_has_begun(files: FileStore, db: Database, clock: WallClock) -> None:
    record = await put(files, life_s=3600)
    files.path(record.id).unlink()
    clock.advance(3700)

    await files.sweep()

    assert await num_rows(db) == 0


async def test_orphans_go_when_they_are_old(files: FileStore, tmp_path: Path, clock: WallClock) -> None:
    sealed = await files.draft().seal()
    draft = files.draft()
    await draft.add(b"x" * 300_000)
    kept = await put(files, life_s=9000)

    await files.sweep()
    young = [files.path(sealed.id).exists(), draft.path.exists()]
    clock.advance(3601)
    await files.sweep()

    assert young == [True, True]
    assert [files.path(sealed.id).exists(), draft.path.exists()] == [False, False]
    assert files.path(kept.id).exists()


async def test_start_clears_what_was_incoming_unless_another_server_may_write_it(
    files: FileStore, db: Database
) -> None:
    draft = files.draft()
    await draft.add(b"x" * 300_000)

    await files.start()

    assert draft.path.exists() == db.is_shared


async def test_files_that_are_not_ours_to_judge_stay(
    files: FileStore, tmp_path: Path, clock: WallClock
) -> None:
    """Folders and links are nobody's content."""
    (tmp_path / "files/notes").mkdir()
    (tmp_path / "files/link").symlink_to(tmp_path / "hearth.db")
    clock.advance(9000)

    await files.sweep()

    assert sorted(os.listdir(tmp_path / "files")) == ["incoming", "link", "notes"]


async def test_sweep_makes_room_on_a_full_disk(tmp_path: Path, clock: WallClock) -> None:
    with tiny_disk(tmp_path / "disk", size_mib=8) as disk:
        store = open_store(f"sqlite:///{disk}/hearth.db")
        db = Database(store)
        files = FileStore(db, disk / "files", DiskGuard(disk, 0), now=clock)
        await files.start()
        record = await put(files, b"x" * 4_000_000)
        _fill(disk / "ballast")
        clock.advance(3700)

        await files.sweep()

        assert (files.path(record.id).exists(), await num_rows(db)) == (False, 0)
        db.close()
        store.close()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(b"x" * 4096):
            pass
