"""A file belongs to one key, is whole or does not exist, and ends when it should."""

import asyncio
import hashlib
import stat
import threading
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from engines.contract.errors import ErrorCode
from server.disk import DiskGuard
from server.errors import ServiceError
from server.files import FileStore, Purpose
from server.store import open_store
from server.store.database import Database
from server.store.schema import batches
from tests.server.files.batches import batch_row
from tests.server.files.conftest import OWNER, WallClock, put


async def read(files: FileStore, file_id: str, start: int, end: int) -> bytes:
    async with aclosing(files.read(file_id, start, end)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_file_that_was_added_is_found_with_its_content(files: FileStore) -> None:
    record = await put(files, b"x" * 600_000 + b"end")

    found = await files.find(OWNER, record.id)

    assert found == record
    assert (found.size_bytes, found.sha256) == (
        600_003,
        hashlib.sha256(b"x" * 600_000 + b"end").hexdigest(),
    )
    assert await read(files, record.id, 599_999, 600_003) == b"xend"
    assert stat.S_IMODE(files.path(record.id).stat().st_mode) == 0o600
    assert list((files.path(record.id).parent / "incoming").iterdir()) == []


@pytest.mark.parametrize("owner", ["apikey_b", ""])
async def test_file_of_another_key_does_not_exist(files: FileStore, owner: str) -> None:
    record = await put(files)

    for attempt in (files.find(owner, record.id), files.delete(owner, record.id)):
        with pytest.raises(ServiceError) as caught:
            await attempt
        assert caught.value.code is ErrorCode.NOT_FOUND
    listed, _ = await files.list(owner, purpose=None, limit=10, after=None, is_newest_first=True)

    assert listed == []
    assert files.path(record.id).exists()


async def test_expired_file_is_invisible_at_once(files: FileStore, clock: WallClock) -> None:
    record = await put(files, life_s=3600)
    clock.advance(3601)

    with pytest.raises(ServiceError) as caught:
        await files.find(OWNER, record.id)

    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_list_goes_on_behind_a_file_in_both_directions(files: FileStore) -> None:
    made = [await put(files) for _ in range(5)]
    made += [await put(files, purpose=Purpose.USER_DATA)]

    first, has_more = await files.list(
        OWNER, purpose=Purpose.BATCH, limit=3, after=None, is_newest_first=False
    )
    rest, has_rest = await files.list(
        OWNER, purpose=Purpose.BATCH, limit=3, after=first[-1].place, is_newest_first=False
    )
    newest, _ = await files.list(OWNER, purpose=None, limit=2, after=None, is_newest_first=True)
    older, _ = await files.list(OWNER, purpose=None, limit=9, after=newest[-1].place, is_newest_first=True)

    assert (first + rest, has_more, has_rest) == (made[:5], True, False)
    assert newest + older == made[::-1]


async def test_files_of_one_moment_are_listed_once_each(files: FileStore, clock: WallClock) -> None:
    moment = clock()
    made = sorted([(await put(files, now=moment)).id for _ in range(4)])

    first, _ = await files.list(OWNER, purpose=None, limit=2, after=None, is_newest_first=False)
    rest, _ = await files.list(OWNER, purpose=None, limit=2, after=first[-1].place, is_newest_first=False)

    assert [record.id for record in first + rest] == made


async def test_deleted_file_is_gone_with_its_content(files: FileStore) -> None:
    record = await put(files)

    await files.delete(OWNER, record.id)

    assert not files.path(record.id).exists()
    with pytest.raises(ServiceError):
        await files.find(OWNER, record.id)


async def test_file_is_kept_while_a_batch_reads_it(files: FileStore, db: Database, clock: WallClock) -> None:
    record = await put(files)
    await db.write(
        lambda connection: connection.execute(insert(batches).values(batch_row(record.id, clock())))
    )

    with pytest.raises(ServiceError) as caught:
        await files.delete(OWNER, record.id)

    assert caught.value.code is ErrorCode.CONFLICT
    assert await files.find(OWNER, record.id) == record


async def test_file_that_a_batch_is_being_made_of_is_not_deleted_by_another_server(
    files: FileStore, db: Database, store_url: str, tmp_path: Path
) -> None:
    record = await put(files)
    store = open_store(store_url)
    elsewhere = Database(store)
    others = FileStore(elsewhere, tmp_path / "files", DiskGuard(tmp_path, 0))
    has_found, may_go_on = threading.Event(), threading.Event()

    def make_batch(connection: Connection) -> None:
        files.find_in(connection, OWNER, record.id)
        has_found.set()
        may_go_on.wait(5)
        connection.execute(insert(batches).values(batch_row(record.id, record.created_at)))

    making = asyncio.create_task(db.write(make_batch))
    await asyncio.to_thread(has_found.wait, 5)
    deleting = asyncio.create_task(others.delete(OWNER, record.id))
    early, _ = await asyncio.wait([deleting], timeout=0.1)
    may_go_on.set()
    await making

    with pytest.raises(ServiceError) as caught:
        await deleting
    assert (early, caught.value.code) == (set(), ErrorCode.CONFLICT)
    assert await files.find(OWNER, record.id) == record
    elsewhere.close()
    store.close()


async def test_reading_a_file_that_was_deleted_meanwhile_is_not_found(files: FileStore) -> None:
    record = await put(files)
    await files.delete(OWNER, record.id)

    with pytest.raises(ServiceError) as caught:
        await read(files, record.id, 0, 3)

    assert caught.value.code is ErrorCode.NOT_FOUND
