"""A file on its way into being: written aside, then put in its place, durable before anybody can know of it."""

import asyncio
import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from server import failpoints
from server.disk import DiskGuard, disk_error, in_thread, sync_folder
from server.files.record import new_file_id
from server.files.writer import FileWriter

INCOMING = "incoming"


class Steps(NamedTuple):
    """The failpoints on a draft's way to its place."""

    before_fsync: str | None
    before_rename: str
    after_rename: str


UPLOAD = Steps(None, "upload.before_rename", "upload.after_rename")
RENDER = Steps("render.before_fsync", "render.after_fsync", "render.after_rename")


class Sealed(NamedTuple):
    """Content in its place. Without a row it is an orphan, which a sweep removes."""

    id: str
    size_bytes: int
    sha256: str


class Draft(FileWriter):
    """Made by `FileStore.draft`. Every piece is refused with STORAGE_FULL when the disk has too little room left."""

    def __init__(self, folder: Path, disk: DiskGuard, *, max_bytes: int | None, steps: Steps) -> None:
        super().__init__(folder / INCOMING / secrets.token_hex(16), max_bytes, self._see)
        self._folder = folder
        self._disk = disk
        self._steps = steps
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what was flushed."""
        return self._digest.hexdigest()

    async def seal(self) -> Sealed:
        """Put the content in its place. Cancelled or failing, it leaves nothing there.

        Raises ServiceError: STORAGE_FULL, INTERNAL_ERROR if the disk fails.
        """
        await self.flush()
        sealed = Sealed(new_file_id(), self.size_bytes, self.sha256)
        place = self._folder / sealed.id
        try:
            await in_thread(lambda: self._publish(place), "file.seal")
        except asyncio.CancelledError:
            place.unlink(missing_ok=True)
            raise
        return sealed

    def _see(self, piece: bytes | bytearray) -> None:
        self._disk.check()
        self._digest.update(piece)

    def _publish(self, place: Path) -> None:
        try:
            self._sync()
            failpoints.reach(self._steps.before_rename)
            self.path.rename(place)
            failpoints.reach(self._steps.after_rename)
            sync_folder(self._folder)
        except OSError as error:
            for path in (self.path, place):
                path.unlink(missing_ok=True)
            raise disk_error(error) from error

    def _sync(self) -> None:
        if self._steps.before_fsync is not None:
            failpoints.reach(self._steps.before_fsync)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
