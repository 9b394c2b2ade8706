"""Files of requests on their way to a worker: on disk, never in memory, and gone with their request. Knows no form.

A client's own name for a file never reaches the disk.
"""

import secrets
from pathlib import Path

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from server.files import FileWriter
from server.settings import Settings

FORM_BYTES = 64 * 1024  # for all that is in a form besides its file


class UploadRoute(APIRoute):
    """A route that takes a file. Its bodies may be as large as an upload, and whatever was kept for a request is
    removed when the request has ended, however it did: `scope["state"]["uploads"]`.
    """

    @staticmethod
    def max_bytes(settings: Settings) -> int:
        """Of the file."""
        return settings.max_upload_bytes

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        uploads: list[FileWriter] = []
        scope["state"]["uploads"] = uploads
        try:
            await super().handle(scope, receive, send)
        finally:
            for upload in uploads:
                upload.discard()


class FileRoute(UploadRoute):
    """A route for files that stay; what has not become one by the end of the request is removed."""

    @staticmethod
    def max_bytes(settings: Settings) -> int:
        return settings.max_file_bytes


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

    def open(self) -> FileWriter:
        """A new upload; nothing is on disk yet."""
        return FileWriter(self._folder / secrets.token_hex(16), self._max_bytes)
