"""What a place for media files offers. Knows no token; the two places are `folder.py` and `bucket.py`."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from engines.contract.errors import ErrorCode
from server.errors import ServiceError

CHUNK_BYTES = 256 * 1024


class Name(NamedTuple):
    """A file lies in the period in which it expires: sweeping drops periods, and nothing has to be renewed."""

    period: int
    digest: str


class MediaStorage(Protocol):
    """Every method raises ServiceError(INTERNAL_ERROR) if the place fails, STORAGE_FULL if it has no room."""

    async def put(self, name: Name, content: bytes) -> None:
        """Store whole or not at all; the same name again is the same content, and no error."""

    async def size_bytes(self, name: Name) -> int | None:
        """None if there is no such file."""

    def read(self, name: Name, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to but not including `end`, in pieces."""

    async def sweep(self, first_kept: int) -> int:
        """Drop all periods before `first_kept`; how many were dropped."""


def failed(what: str) -> ServiceError:
    """The log has the cause; clients learn that the request itself was right."""
    return ServiceError(ErrorCode.INTERNAL_ERROR, f"the server could not {what}")
