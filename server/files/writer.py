"""Writes one file as its bytes come, in pieces and off the event loop. Knows neither requests nor rows."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from engines.contract.errors import ErrorCode
from server.disk import disk_error, in_thread
from server.errors import ServiceError

_BUFFER_BYTES = 256 * 1024


class FileWriter:
    """A file of at most `max_bytes` that is being written. `on_piece` sees each piece first, in the writing thread."""

    def __init__(
        self, path: Path, max_bytes: int | None, on_piece: Callable[[bytes | bytearray], None] | None = None
    ) -> None:
        self.path = path
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._on_piece = on_piece
        self._buffer = bytearray()

    async def add(self, data: bytes) -> None:
        """Raises ServiceError: PAYLOAD_TOO_LARGE, STORAGE_FULL, INTERNAL_ERROR if the disk fails."""
        self.size_bytes += len(data)
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise ServiceError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"a file may have at most {self._max_bytes} bytes"
            )
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Cancelled, it still waits for the disk, so that nothing is written after `discard`."""
        buffer, self._buffer = self._buffer, bytearray()
        await in_thread(lambda: self._write(buffer), "file.write")

    def discard(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _write(self, data: bytes | bytearray) -> None:
        if self._on_piece is not None:
            self._on_piece(data)
        try:
            append(self.path, data)
        except OSError as error:
            raise disk_error(error) from error


def append(path: Path, data: bytes | bytearray) -> None:
    """The file is made with its first piece, for its owner only. Blocks."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
