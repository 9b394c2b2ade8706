"""The content of a file as an answer: to be saved, not to be shown or run."""

from fastapi import Request
from fastapi.responses import Response

from server.files import FileRecord, FileStore
from server.wire.file_render import disposition
from server.wire.ranged import Content, ranged_answer


def file_content(request: Request, record: FileRecord, files: FileStore) -> Response:
    """One range of bytes may be asked for."""
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": disposition(record.filename),
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    content = Content(record.size_bytes, record.content_type, f'"{record.sha256}"', headers)
    return ranged_answer(request, content, lambda start, end: files.read(record.id, start, end))
