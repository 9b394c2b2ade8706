"""What all that is written to disk shares: is there room, is it durable, what a failure is to a client. Knows no file's
meaning.
"""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeVar

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.telemetry import log_event

READ_BYTES = 256 * 1024
_T = TypeVar("_T")


class DiskGuard:
    """Keeps `min_free_bytes` of the disk that holds `folder` free, for the store and for what is under way."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder = folder.absolute()
        self._min_free_bytes = min_free_bytes

    def has_room(self) -> bool:
        return free_bytes(self._folder) >= self._min_free_bytes

    def check(self) -> None:
        """Raises ServiceError(STORAGE_FULL)."""
        if not self.has_room():
            raise no_room()


def free_bytes(folder: Path) -> int:
    """Room on the disk of the nearest folder that exists: `folder` itself may still be to come."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def no_room() -> ServiceError:
    return ServiceError(ErrorCode.STORAGE_FULL, "the server has no room on its disk now")


def is_full(error: OSError) -> bool:
    """Whether the disk or its quota has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_error(error: OSError) -> ServiceError:
    """STORAGE_FULL where there is no room, otherwise INTERNAL_ERROR; the log has the cause."""
    log_event("disk.failed", level=logging.ERROR, exception=error, reason=os.strerror(error.errno or 0))
    if is_full(error):
        return no_room()
    return ServiceError(ErrorCode.INTERNAL_ERROR, "the server's disk failed; its log says how")


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` outlive a power cut. Blocks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make it, for its owner only, and what is missing above it, to outlive a power cut. Blocks."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


async def in_thread(work: Callable[[], _T], name: str) -> _T:
    """`work` off the event loop. Cancelled, it still waits for the disk, so that nothing is written afterwards."""
    working = asyncio.create_task(asyncio.to_thread(work), name=name)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise


async def read_pieces(path: Path, start: int, end: int) -> AsyncGenerator[bytes]:
    """The bytes of a file from `start` to `end` (exclusive), at most `READ_BYTES` at once. Raises OSError."""
    descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while start < end:
            piece = await asyncio.to_thread(os.pread, descriptor, min(READ_BYTES, end - start), start)
            if not piece:
                return
            start += len(piece)
            yield piece
    finally:
        os.close(descriptor)
