"""Cursor paging over a list that is sorted by a name: opaque to clients, stable when entries come and go."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from server.envelope import Pagination
from server.errors import invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_Entry = TypeVar("_Entry")


def page(
    entries: Sequence[_Entry], name: Callable[[_Entry], str], *, limit: int, cursor: str | None
) -> tuple[list[_Entry], Pagination]:
    """The next `limit` of `entries`, which are sorted by `name`. Raises VALIDATION_ERROR about `cursor`."""
    after = None if cursor is None else decode_cursor(cursor)
    rest = [entry for entry in entries if after is None or name(entry) > after]
    found = rest[:limit]
    has_more = len(rest) > limit
    return found, Pagination(
        has_more=has_more, next_cursor=encode_cursor(name(found[-1])) if has_more else None
    )


def encode_cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid("cursor", "is not a cursor of this list") from None


def encode_place(created_at: datetime, entry_id: str) -> str:
    """The cursor of a list in the order of time."""
    return encode_cursor(f"{created_at.astimezone(UTC).isoformat()} {entry_id}")


def decode_place(cursor: str) -> tuple[datetime, str]:
    """Raises VALIDATION_ERROR about `cursor`."""
    time, _, entry_id = decode_cursor(cursor).partition(" ")
    try:
        created_at = datetime.fromisoformat(time)
    except ValueError:
        raise invalid("cursor", "is not a cursor of this list") from None
    if created_at.tzinfo is None:
        raise invalid("cursor", "is not a cursor of this list")
    return created_at, entry_id
