"""Rows of batches, as far as files have to do with them."""

from datetime import datetime, timedelta


def batch_row(input_file_id: str, now: datetime, *, ended_at: datetime | None = None) -> dict[str, object]:
    return {
        "id": "batch_1",
        "owner": "apikey_a",
        "surface": "native",
        "state": "in_progress" if ended_at is None else "completed",
        "input_file_id": input_file_id,
        "completion_window": "24h",
        "metadata": {},
        "base_url": "http://localhost",
        "total": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "expired": 0,
        "created_at": now,
        "ended_at": ended_at,
        "expires_at": now + timedelta(days=1),
        "kept_until": now + timedelta(days=30),
        "epoch": 0,
        "resumed_done": 0,
        "webhook_attempts": 0,
    }
