"""Files of requests on their way to a worker: on disk, never in memory, and gone with their request. Knows no form.

A client's own name for a file never reaches the disk.
"""

import asyncio
import contextlib
import os
import secrets
from pathlib import Path

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.telemetry import log_event

FORM_BYTES = 64 * 1024  # for all that is in a form besides its file
_BUFFER_BYTES = 256 * 1024


class UploadRoute(APIRoute):
    """A route that takes a file. Its bodies may be as large as an upload, and whatever was kept for a request is
    removed when the request has ended, however it did: `scope["state"]["uploads"]`.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        uploads: list[Upload] = []
        scope["state"]["uploads"] = uploads
        try:
            await super().handle(scope, receive, send)
        finally:
            for upload in uploads:
                upload.discard()


class Upload:
    """One file that is being written, at most `max_bytes`. Written in pieces, off the event loop."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    async def add(self, data: bytes) -> None:
        """Raises ServiceError: PAYLOAD_TOO_LARGE, INTERNAL_ERROR if there is no room on the disk."""
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Cancelled, it still waits for the disk, so that nothing is written after `discard`."""
        buffer, self._buffer = self._buffer, bytearray()
        writing = asyncio.create_task(asyncio.to_thread(_append, self.path, buffer), name="upload.write")
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.gather(writing, return_exceptions=True)
            raise

    def discard(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


class Spool:
    """The folder of all uploads. `sweep` before the first request."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder.absolute()
        self._max_bytes = max_bytes

    def sweep(self) -> None:
        """Remove what a server that was killed has left. Blocks."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink()

    def open(self, uploads: list[Upload]) -> Upload:
        """A new upload, which is entered in `uploads` before anything is on disk."""
        upload = Upload(self._folder / secrets.token_hex(16), self._max_bytes)
        uploads.append(upload)
        return upload


def too_large(max_bytes: int) -> ServiceError:
    return ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, f"a file may have at most {max_bytes} bytes")


def _append(path: Path, data: bytes | bytearray) -> None:
    """The file is made with its first piece, for its owner only."""
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with open(descriptor, "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
    except OSError as error:
        log_event("upload.failed", reason=os.strerror(error.errno or 0), size_bytes=len(data))
        raise ServiceError(ErrorCode.INTERNAL_ERROR, "the server has no room for the file now") from error
