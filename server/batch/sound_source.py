"""The sound that a line refers to: a file that the server keeps, or a data: URL. Knows no form."""

import base64
import binascii
import re
from pathlib import Path
from typing import NamedTuple

from engines.contract.errors import ErrorCode
from server.errors import ServiceError, invalid
from server.files import FileStore, FileWriter
from server.http.uploads import Spool
from server.wire.file_render import URI_SCHEME
from server.wire.transcribe_body import SoundFile

_FIELD = "file"
_FILE_ID = re.compile(rf"(?:{URI_SCHEME})?(file_[0-9a-f]{{24}})")
_DATA = "data:"


class StoredSound(NamedTuple):
    """A client's file, used where it lies."""

    path: Path
    size_bytes: int


class SoundSource:
    """Finds the sound of one line, once. `discard` when the line has ended."""

    def __init__(self, owner: str, files: FileStore, spool: Spool) -> None:
        self._owner = owner
        self._files = files
        self._spool = spool
        self._spooled: FileWriter | None = None

    def discard(self) -> None:
        """Remove what was spooled."""
        if self._spooled is not None:
            self._spooled.discard()

    async def open(self, reference: object) -> SoundFile:
        """Raises ServiceError: VALIDATION_ERROR about `file`, PAYLOAD_TOO_LARGE."""
        if reference is None:
            raise invalid(_FIELD, "is required")
        if isinstance(reference, str) and reference.startswith(_DATA):
            return await self._spool_data(reference)
        found = _FILE_ID.fullmatch(reference) if isinstance(reference, str) else None
        if found is None:
            raise invalid(_FIELD, "must be a file's id, scaigrid://file/ID or a data: URL")
        return await self._stored(found[1])

    async def _stored(self, file_id: str) -> StoredSound:
        try:
            record = await self._files.find(self._owner, file_id)
        except ServiceError as error:
            if error.code is ErrorCode.NOT_FOUND:
                raise invalid(_FIELD, "is no file of this key") from None
            raise
        return StoredSound(self._files.path(record.id), record.size_bytes)

    async def _spool_data(self, url: str) -> FileWriter:
        """The type that the URL names says nothing: sound is told by its content."""
        head, comma, content = url.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise invalid(_FIELD, "must be a data: URL with ;base64,")
        try:
            sound = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise invalid(_FIELD, "is not valid base64") from None
        if not sound:
            raise invalid(_FIELD, "must not be empty")
        self._spooled = self._spool.open()
        await self._spooled.add(sound)
        await self._spooled.flush()
        return self._spooled
