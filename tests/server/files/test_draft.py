"""A draft is put in its place whole, or leaves nothing."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from engines.contract.errors import ErrorCode
from server.disk import DiskGuard
from server.errors import ServiceError
from server.files import RENDER, FileRecord, FileStore
from server.store.database import Database
from tests.fakes.tiny_disk import tiny_disk
from tests.server.files.conftest import OWNER, put

EVERYTHING = 1 << 62


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_discarded_draft_leaves_nothing(files: FileStore, tmp_path: Path) -> None:
    draft = files.draft()
    await draft.add(b"x" * 300_000)

    draft.discard()
    draft.discard()

    assert left(tmp_path / "files") == []


async def test_discarding_what_is_sealed_does_nothing(files: FileStore) -> None:
    draft = files.draft(steps=RENDER)
    await draft.add(b"x")
    sealed = await draft.seal()

    draft.discard()

    assert files.path(sealed.id).read_bytes() == b"x"


async def test_draft_is_refused_more_than_its_limit(files: FileStore) -> None:
    draft = files.draft(max_bytes=3)
    await draft.add(b"xyz")

    with pytest.raises(ServiceError, match="at most 3 bytes"):
        await draft.add(b"!")


async def test_draft_stops_when_too_little_room_is_left(tmp_path: Path, db: Database) -> None:
    store = FileStore(db, tmp_path / "files", DiskGuard(tmp_path, EVERYTHING))
    await store.start()
    draft = store.draft()

    with pytest.raises(ServiceError) as caught:
        await draft.add(b"x" * 300_000)
    draft.discard()

    assert caught.value.code is ErrorCode.STORAGE_FULL
    assert left(tmp_path / "files") == []


async def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path, db: Database) -> None:
    with tiny_disk(tmp_path / "disk", size_mib=1) as disk:
        store = FileStore(db, disk / "files", DiskGuard(disk, 0))
        await store.start()
        draft = store.draft()

        with pytest.raises(ServiceError) as caught:
            await draft.add(b"x" * 2_000_000)
        draft.discard()
        whole = await put(store, b"y" * 500_000)

        assert caught.value.code is ErrorCode.STORAGE_FULL
        assert left(disk) == [store.path(whole.id)]


async def test_content_goes_when_its_row_cannot_be_written(files: FileStore, tmp_path: Path) -> None:
    record = await put(files)

    def refuse(connection: object) -> None:
        raise ServiceError(ErrorCode.STORAGE_FULL, "full")

    draft = files.draft()
    sealed = await draft.seal()
    with pytest.raises(ServiceError):
        await files.add(_renamed(record, sealed.id), refuse)

    assert left(tmp_path / "files") == [files.path(record.id)]
    with pytest.raises(ServiceError):
        await files.find(OWNER, sealed.id)


async def test_content_stays_while_nobody_knows_whether_its_row_was_written(files: FileStore) -> None:
    record = await put(files)

    def lose(connection: object) -> None:
        raise ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "lost")

    sealed = await files.draft().seal()
    with pytest.raises(ServiceError):
        await files.add(_renamed(record, sealed.id), lose)

    assert files.path(sealed.id).exists()


async def test_many_files_at_once_are_each_whole(files: FileStore) -> None:
    contents = [bytes([number]) * (number * 10_000) for number in range(20)]

    records = await asyncio.gather(*(put(files, content) for content in contents))

    assert [files.path(record.id).read_bytes() for record in records] == contents
    assert len({record.id for record in records}) == 20


async def test_one_of_many_deletions_wins(files: FileStore) -> None:
    record = await put(files)

    ends = await asyncio.gather(*(files.delete(OWNER, record.id) for _ in range(8)), return_exceptions=True)

    assert sorted(end is None for end in ends) == [False] * 7 + [True]
    assert all(end is None or isinstance(end, ServiceError) for end in ends)


def _renamed(record: FileRecord, file_id: str) -> FileRecord:
    return msgspec.structs.replace(record, id=file_id)
