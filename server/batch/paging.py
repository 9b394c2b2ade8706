"""Cursors over batches, which are listed from the newest to the oldest. Opaque to clients."""

from datetime import datetime

from server.batch.records import Batch
from server.batch.states import BatchState
from server.errors import invalid
from server.wire.paging import decode_place, encode_place


def cursor_of(batch: Batch) -> str:
    return encode_place(batch.created_at, batch.id)


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Raises VALIDATION_ERROR about `cursor`."""
    return None if cursor is None else decode_place(cursor)


def read_status(status: str | None) -> tuple[BatchState, ...]:
    """One state, or several with commas. Raises VALIDATION_ERROR about `status`."""
    try:
        return tuple(BatchState(name.strip()) for name in status.split(",")) if status else ()
    except ValueError:
        raise invalid("status", f"must be one of {', '.join(BatchState)}") from None
