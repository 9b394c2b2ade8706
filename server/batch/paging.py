"""Cursors over batches, which are listed from the newest to the oldest. Opaque to clients."""

from datetime import UTC, datetime

from server.batch.records import Batch
from server.batch.states import BatchState
from server.errors import invalid
from server.wire.paging import decode_cursor, encode_cursor


def cursor_of(batch: Batch) -> str:
    return encode_cursor(f"{batch.created_at.astimezone(UTC).isoformat()} {batch.id}")


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Raises VALIDATION_ERROR about `cursor`."""
    if cursor is None:
        return None
    time, _, batch_id = decode_cursor(cursor).partition(" ")
    try:
        return datetime.fromisoformat(time), batch_id
    except ValueError:
        raise invalid("cursor", "is not a cursor of this list") from None


def read_status(status: str | None) -> tuple[BatchState, ...]:
    """One state, or several with commas. Raises VALIDATION_ERROR about `status`."""
    try:
        return tuple(BatchState(name.strip()) for name in status.split(",")) if status else ()
    except ValueError:
        raise invalid("status", f"must be one of {', '.join(BatchState)}") from None
