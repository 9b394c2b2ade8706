"""The content of a file as an answer: to be saved, not to be shown or run."""

import asyncio

from fastapi import Request
from fastapi.responses import Response

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.files import FileRecord, FileStore
from server.wire.file_render import disposition
from server.wire.ranged import Content, ranged_answer


async def file_content(request: Request, record: FileRecord, files: FileStore) -> Response:
    """One range of bytes may be asked for. Raises ServiceError(NOT_FOUND) where a restored backup lacks the content."""
    if not await asyncio.to_thread(files.path(record.id).is_file):
        raise ServiceError(ErrorCode.NOT_FOUND, "the content of this file is not there any more")
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": disposition(record.filename),
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    content = Content(record.size_bytes, record.content_type, f'"{record.sha256}"', headers)
    return ranged_answer(request, content, lambda start, end: files.read(record.id, start, end))
