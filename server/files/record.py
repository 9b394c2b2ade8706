"""What the store knows of a file. Pure."""

import secrets
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

MAX_FILENAME_CHARS = 255
_UNNAMED = "file"


class Purpose(StrEnum):
    """`BATCH_OUTPUT` is made by batches only."""

    BATCH = "batch"
    USER_DATA = "user_data"
    BATCH_OUTPUT = "batch_output"


class FilePlace(NamedTuple):
    """Where a file lies in the order of a list."""

    created_at: datetime
    id: str


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file that exists. `owner` is the API key that may see it, `batch_id` the batch that made it."""

    id: str
    owner: str
    purpose: str
    filename: str
    content_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    expires_at: datetime
    batch_id: str | None = None

    @property
    def place(self) -> FilePlace:
        return FilePlace(self.created_at, self.id)


def new_file_id() -> str:
    return f"file_{secrets.token_hex(12)}"


def clean_filename(told: str | None) -> str:
    """A client's name for its file, fit to be shown: bounded and without control characters. Never used on disk."""
    kept = "".join(
        char for char in told or "" if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )
    return kept.strip()[:MAX_FILENAME_CHARS] or _UNNAMED
