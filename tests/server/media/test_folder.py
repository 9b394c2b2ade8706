"""Media files in a folder: whole or not there, for their owner only, gone with their period."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.media.folder import MediaFolder
from server.media.storage import CHUNK_BYTES, Name
from tests.fakes.tiny_disk import tiny_disk

NAME = Name(10, "ab" * 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
def folder(root: Path) -> MediaFolder:
    return MediaFolder(root)


async def read(folder: MediaFolder, name: Name, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in folder.read(name, start, end)])


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


async def test_content_is_read_as_it_was_put(folder: MediaFolder) -> None:
    content = os.urandom(2 * CHUNK_BYTES + 5)

    await folder.put(NAME, content)
    await folder.put(NAME, content)

    assert await folder.size_bytes(NAME) == len(content)
    assert await read(folder, NAME, 0, len(content)) == content
    assert await read(folder, NAME, 3, CHUNK_BYTES + 9) == content[3 : CHUNK_BYTES + 9]


async def test_only_the_owner_may_look(folder: MediaFolder, root: Path) -> None:
    await folder.put(NAME, b"x")

    assert [stat.S_IMODE(path.stat().st_mode) for path in (root / "10", *files(root))] == [0o700, 0o600]


async def test_what_is_not_there_has_no_size(folder: MediaFolder, root: Path) -> None:
    (root / "10").mkdir(parents=True)
    (root / "10" / NAME.digest).symlink_to("/etc/passwd")

    assert await folder.size_bytes(NAME) is None
    assert await folder.size_bytes(Name(11, NAME.digest)) is None


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """What a full disk looks like to a writer: the file grows so far and no further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_write_that_fails_is_told_and_leaves_nothing(folder: MediaFolder, root: Path) -> None:
    with files_of_at_most(4096), pytest.raises(ServiceError) as failure:
        await folder.put(NAME, b"x" * 100_000)

    assert failure.value.code is ErrorCode.INTERNAL_ERROR
    assert failure.value.message == "the server could not store the file"
    assert files(root) == []
    assert await folder.size_bytes(NAME) is None


async def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", size_mib=1) as disk:
        folder = MediaFolder(disk / "media")

        with pytest.raises(ServiceError) as failure:
            await folder.put(NAME, b"x" * 2_000_000)
        await folder.put(NAME, b"x")

        assert (failure.value.code, failure.value.status) == (ErrorCode.STORAGE_FULL, 507)
        assert [path.read_bytes() for path in files(disk)] == [b"x"]


async def test_sweep_drops_whole_periods_and_nothing_else(folder: MediaFolder, root: Path) -> None:
    for period in (9, 10, 11):
        await folder.put(Name(period, NAME.digest), b"x")
    (root / "9" / ".left.part").write_bytes(b"of a server that was killed")
    (root / "notes").mkdir()

    assert await folder.sweep(11) == 2

    assert sorted(os.listdir(root)) == ["11", "notes"]
    assert await folder.sweep(11) == 0


async def test_sweep_of_nothing_is_fine(folder: MediaFolder) -> None:
    assert await folder.sweep(11) == 0
