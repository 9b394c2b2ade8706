"""Files in both dialects, and the headers under which their content is sent. Pure."""

import re
from datetime import datetime
from urllib.parse import quote

from server.files import FileRecord, Purpose

URI_SCHEME = "scaigrid://file/"
JSONL = "application/jsonl"
BYTES = "application/octet-stream"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")


def content_type_of(purpose: str) -> str:
    """Ours, never the client's claim: no browser shall take a file for a page."""
    return BYTES if purpose == Purpose.USER_DATA else JSONL


def native_file(record: FileRecord) -> dict[str, object]:
    return _shared(record) | {
        "uri": URI_SCHEME + record.id,
        "sha256": record.sha256,
        "content_type": record.content_type,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
    }


def openai_file(record: FileRecord) -> dict[str, object]:
    return _shared(record) | {
        "created_at": _seconds(record.created_at),
        "expires_at": _seconds(record.expires_at),
    }


def disposition(filename: str) -> str:
    """A Content-Disposition that saves under this name and cannot say more than that (RFC 6266, RFC 8187)."""
    name = filename.replace("/", "_").replace("\\", "_")
    return f"attachment; filename=\"{_NOT_PLAIN.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _shared(record: FileRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.size_bytes,
        "filename": record.filename,
        "purpose": record.purpose,
        "status": "processed",
    }


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
