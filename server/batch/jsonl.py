"""Splits a file of lines into its lines, with memory for one of them. Knows no JSON."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

_MARK = b"\xef\xbb\xbf"
_LINE_END_BYTES = 2  # CR LF
_SKIP_BYTES = 256 * 1024


class RawLine(msgspec.Struct, frozen=True):
    """`start` and `size` say where the content lies, in bytes; its end of line is no part of it.

    `raw` is None for a line that is longer than allowed.
    """

    line_no: int
    start: int
    size: int
    raw: bytes | None

    @property
    def is_blank(self) -> bool:
        return self.raw is not None and not self.raw.strip(b" \t\r")


def read_lines(file: BinaryIO, max_line_bytes: int) -> Iterator[RawLine]:
    """Every line from the beginning, numbered from 1, blank ones too. A byte order mark before the first is skipped.

    Lines end with LF or CR LF, the last one also with the file. Blocks.
    """
    file.seek(0)
    start = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
    file.seek(start)
    for line_no in itertools.count(1):
        read = file.readline(max_line_bytes + _LINE_END_BYTES)
        if not read:
            return
        length, end = len(read), read[-2:]
        while not end.endswith(b"\n") and (piece := file.readline(_SKIP_BYTES)):
            length, end = length + len(piece), end[-1:] + piece[-2:]
        size = length - len(end) + len(end.removesuffix(b"\n").removesuffix(b"\r"))
        yield RawLine(line_no, start, size, read[:size] if size <= max_line_bytes else None)
        start += length
