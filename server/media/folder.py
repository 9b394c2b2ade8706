"""Media files in a folder of this machine: written aside and renamed, owner-only, links never followed."""

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from server.disk import is_full, make_folder, no_room, read_pieces, sync_folder
from server.errors import ServiceError
from server.media.storage import Name, failed
from server.telemetry import log_event


class MediaFolder:
    """A `MediaStorage` of the form `<root>/<period>/<digest>`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, name: Name, content: bytes) -> None:
        try:
            await asyncio.to_thread(self._write, self._path(name), content)
        except OSError as error:
            raise _failed("store the file", error) from error

    async def size_bytes(self, name: Name) -> int | None:
        return await asyncio.to_thread(self._size_bytes, self._path(name))

    async def read(self, name: Name, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            async with aclosing(read_pieces(self._path(name), start, end)) as pieces:
                async for piece in pieces:
                    yield piece
        except OSError as error:
            raise _failed("read the file", error) from error

    async def sweep(self, first_kept: int) -> int:
        try:
            return await asyncio.to_thread(self._sweep, first_kept)
        except OSError as error:
            raise _failed("sweep its media", error) from error

    def _path(self, name: Name) -> Path:
        return self._root / str(name.period) / name.digest

    def _write(self, path: Path, content: bytes) -> None:
        """Durable on return, also where the file was there: a link in an acknowledged answer outlives a power cut."""
        make_folder(path.parent)
        if not path.exists():
            self._write_new(path, content)
        sync_folder(path.parent)

    def _write_new(self, path: Path, content: bytes) -> None:
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            part.rename(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _size_bytes(self, path: Path) -> int | None:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else None

    def _sweep(self, first_kept: int) -> int:
        if not self._root.is_dir():
            return 0
        names = [entry.name for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False)]
        past = [name for name in names if name.isdecimal() and int(name) < first_kept]
        for name in past:
            shutil.rmtree(self._root / name)
        return len(past)


def _failed(what: str, error: OSError) -> ServiceError:
    log_event("media.failed", level=logging.ERROR, exception=error, detail=error.strerror)
    return no_room() if is_full(error) else failed(what)
