"""Spoken answers of lines: the sound becomes a durable file, the answer tells which."""

import re
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from engines.contract.types import Usage
from server.batch.line_answer import LineAnswer
from server.batch.line_input import LineInput
from server.batch.line_order import LineOrder
from server.envelope import success, to_json
from server.files import FileRecord, FileStore, Purpose, Sealed
from server.streaming import Renderer, Running

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME_CHARS = 100


class SpokenFiles:
    """Makes one file per line; the row of each is for whoever records the line's outcome."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    async def answer(
        self,
        call: AbstractAsyncContextManager[Running],
        renderer: Renderer,
        line: LineInput,
        *,
        suffix: str,
        order: LineOrder,
        now: datetime,
    ) -> LineAnswer:
        """Raises what the call raises, and STORAGE_FULL."""
        sealed, usage = await self._write(call, renderer)
        record = FileRecord(
            id=sealed.id,
            owner=order.caller.key_id,
            purpose=Purpose.BATCH_OUTPUT,
            filename=safe_name(line.custom_id, suffix),
            content_type=renderer.whole_type,
            size_bytes=sealed.size_bytes,
            sha256=sealed.sha256,
            created_at=now,
            expires_at=order.kept_until,
            batch_id=order.batch_id,
        )
        body = _body(record, usage, order, is_openai=line.endpoint.is_openai)
        return LineAnswer(200, order.request_id, body, usage, (record,))

    async def _write(
        self, call: AbstractAsyncContextManager[Running], renderer: Renderer
    ) -> tuple[Sealed, Usage]:
        """The sound goes to disk as it comes; of one that fails or is cancelled nothing stays."""
        draft = self._files.draft()
        try:
            async with call as running:
                while (batch := await running.next_batch()) is not None:
                    await draft.add(renderer.items(batch))
                usage = running.usage
            return await draft.seal(), usage
        finally:
            draft.discard()


def safe_name(custom_id: str, suffix: str) -> str:
    """A file name in ASCII, without paths, that still shows which line it belongs to."""
    stem = _UNSAFE.sub("_", custom_id)[:_MAX_NAME_CHARS].strip("._-")
    return f"{stem or 'line'}.{suffix}"


def _body(record: FileRecord, usage: Usage, order: LineOrder, *, is_openai: bool) -> bytes:
    surface = "/oai/v1" if is_openai else "/v1"
    told = {
        "file_id": record.id,
        "file_url": f"{order.base_url}{surface}/files/{record.id}/content",
        "content_type": record.content_type,
        "bytes": record.size_bytes,
        "seconds": round(usage.audio_s, 3),
    }
    return to_json(told if is_openai else success(told, order.request_id))
