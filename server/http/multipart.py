"""Takes a multipart/form-data body apart as it comes, with bounds on all that a client can multiply. Knows no field.

Nothing is kept: what a part holds is passed on in the pieces in which it arrived.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from server.errors import invalid

MAX_PARTS = 64
_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 4096
_CONTENT_TYPE = b"multipart/form-data"


class PartBegins(msgspec.Struct, frozen=True):
    """Its data follows, in any number of pieces, until the next part begins or the form ends."""

    name: str
    filename: str | None = None  # as the client tells it


Event = PartBegins | bytes


def boundary_of(content_type: str) -> bytes:
    """Raises VALIDATION_ERROR about `body` unless the header says multipart/form-data with a boundary."""
    kind, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if kind != _CONTENT_TYPE or not boundary:
        raise invalid("body", "must be sent with Content-Type: multipart/form-data and a boundary")
    return boundary


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Event]:
    """What the form holds, in order. Raises VALIDATION_ERROR about `body` for what is no whole form."""
    form = _Form(boundary)
    async for chunk in chunks:
        for event in form.feed(chunk):
            yield event
    if not form.is_complete:
        raise invalid("body", "ends in the middle of the form")


class _Form:
    """The parser's callbacks, as a list of events of each chunk."""

    def __init__(self, boundary: bytes) -> None:
        self.is_complete = False
        self._events: list[Event] = []
        self._num_parts = 0
        self._header = self._value = b""
        self._name: str | None = None
        self._filename: str | None = None
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_header,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                boundary, callbacks, max_header_count=_MAX_HEADERS, max_header_size=_MAX_HEADER_BYTES
            )
        except FormParserError:
            raise invalid("body", "has too long a boundary") from None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise invalid("body", "is not valid multipart/form-data") from None
        events, self._events = self._events, []
        return iter(events)

    def _begin(self) -> None:
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise invalid("body", f"must have at most {MAX_PARTS} parts")
        self._name = self._filename = None

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            kind, parameters = parse_options_header(self._value.decode("latin-1"))
            name = parameters.get(b"name")
            if kind == b"form-data" and name is not None:
                self._name = name.decode("utf-8", "replace")
                filename = parameters.get(b"filename")
                self._filename = None if filename is None else filename.decode("utf-8", "replace")
        self._header = self._value = b""

    def _end_headers(self) -> None:
        if self._name is None:
            raise invalid("body", "has a part without a name")
        self._events.append(PartBegins(self._name, self._filename))

    def _end(self) -> None:
        self.is_complete = True
