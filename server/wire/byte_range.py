"""One range of bytes out of a `Range` header; pure. See RFC 9110, section 14."""

import re

_ONE_RANGE = re.compile(r"bytes=(\d{1,15})?-(\d{1,15})?")


class UnsatisfiableRangeError(Exception):
    """The range begins behind the end of the content."""


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the one range that is asked for.

    None for anything but one plain range of bytes: it is ignored, as the RFC allows, so that several ranges in one
    header cost no more than one answer. Raises UnsatisfiableRangeError.
    """
    found = _ONE_RANGE.fullmatch(header or "")
    if found is None or found.groups() == (None, None):
        return None
    first, last = (None if text is None else int(text) for text in found.groups())
    if first is None:
        start, end = size_bytes - min(last or 0, size_bytes), size_bytes
    else:
        start, end = first, size_bytes if last is None else min(last + 1, size_bytes)
    if last is not None and first is not None and last < first:
        return None
    if start >= size_bytes:
        raise UnsatisfiableRangeError
    return start, end
