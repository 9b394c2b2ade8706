"""Where the input of a batch comes from: an own file, the body itself, or an allowed host. Knows no HTTP."""

from datetime import timedelta
from typing import NamedTuple

from engines.contract.errors import ErrorCode
from server.batch.body import decode_inline, file_id_of
from server.clock import utc_now
from server.disk import DiskGuard
from server.errors import ServiceError, invalid
from server.files import FileRecord, FileStore, Purpose, Sealed
from server.remote import RemoteFiles
from server.wire.file_render import JSONL

FETCH_TIMEOUT_S = 120.0


class Input(NamedTuple):
    """`is_new`: its content is on disk, its row is not in the store yet."""

    file: FileRecord
    is_new: bool


class Intake:
    """`max_bytes` and `ttl_s` are those of uploaded files."""

    def __init__(
        self, files: FileStore, remote: RemoteFiles, disk: DiskGuard, *, max_bytes: int, ttl_s: float
    ) -> None:
        self._files = files
        self._remote = remote
        self._disk = disk
        self._max_bytes = max_bytes
        self._ttl = timedelta(seconds=ttl_s)

    async def take(self, owner: str, field: str, value: str) -> Input:
        """The input that `field` of a body names.

        Raises ServiceError: VALIDATION_ERROR about `field`, STORAGE_FULL.
        """
        file_id = (
            value if field == "input_file_id" else file_id_of(value) if field == "input_file_url" else None
        )
        if file_id is not None:
            return Input(await self._own(owner, file_id, field), is_new=False)
        self._disk.check()
        draft = self._files.draft(max_bytes=self._max_bytes)
        try:
            if field == "input_file_base64":
                await draft.add(decode_inline(value))
            else:
                await self._remote.fetch_into(
                    value, field, draft.add, max_bytes=self._max_bytes, timeout_s=FETCH_TIMEOUT_S
                )
            sealed = await draft.seal()
        finally:
            draft.discard()
        return Input(self._record(owner, sealed), is_new=True)

    async def _own(self, owner: str, file_id: str, field: str) -> FileRecord:
        try:
            file = await self._files.find(owner, file_id)
        except ServiceError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            raise invalid(field, "names no file of this key") from error
        if file.purpose != Purpose.BATCH:
            raise invalid(field, f"names a file of purpose {file.purpose}, not {Purpose.BATCH}")
        return file

    def _record(self, owner: str, sealed: Sealed) -> FileRecord:
        moment = utc_now()
        return FileRecord(
            id=sealed.id,
            owner=owner,
            purpose=Purpose.BATCH,
            filename="input.jsonl",
            content_type=JSONL,
            size_bytes=sealed.size_bytes,
            sha256=sealed.sha256,
            created_at=moment,
            expires_at=moment + self._ttl,
        )
