"""The wall clock, for what is shown and for what has a date. Durations are measured by the monotonic one."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
