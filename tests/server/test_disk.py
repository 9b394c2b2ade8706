"""Room is kept free, failures have a code, and what was written is durable."""

import asyncio
import errno
from pathlib import Path

import pytest

from engines.contract.errors import ErrorCode
from server.disk import DiskGuard, disk_error, in_thread, make_folder, read_pieces
from server.errors import ServiceError

EVERYTHING = 1 << 62


def test_there_is_room_until_too_little_is_free(tmp_path: Path) -> None:
    assert DiskGuard(tmp_path, 0).has_room()
    assert not DiskGuard(tmp_path, EVERYTHING).has_room()


def test_folder_that_is_not_there_yet_counts_as_the_one_above(tmp_path: Path) -> None:
    DiskGuard(tmp_path / "a/b/c", 0).check()


def test_too_little_room_is_storage_full(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as caught:
        DiskGuard(tmp_path, EVERYTHING).check()

    assert (caught.value.code, caught.value.status) == (ErrorCode.STORAGE_FULL, 507)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ErrorCode.STORAGE_FULL),
        (errno.EDQUOT, ErrorCode.STORAGE_FULL),
        (errno.EIO, ErrorCode.INTERNAL_ERROR),
    ],
)
def test_failure_of_the_disk_has_a_code_and_no_text_of_its_own(number: int, code: ErrorCode) -> None:
    error = disk_error(OSError(number, "secret path"))

    assert error.code is code
    assert "secret" not in error.message


def test_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/b")

    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b")] == [0o700, 0o700]


async def test_cancelled_work_on_the_disk_is_waited_for() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[bool] = []

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(5)
        ended.append(True)

    working = asyncio.create_task(in_thread(work, "test.work"))
    await begun.wait()
    working.cancel()
    await asyncio.sleep(0)
    is_done_early = working.done()
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await working
    assert (is_done_early, ended) == (False, [True])


async def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    with pytest.raises(OSError, match="symbolic links"):
        await anext(read_pieces(tmp_path / "link", 0, 1))
