"""Reads and writes PNG files where there is no Pillow: 8 bits a channel, RGB, not interlaced."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = 3


class Pixels(NamedTuple):
    """Rows from the top, three bytes a pixel."""

    width: int
    height: int
    rows: list[bytes]


def plain(colour: tuple[int, int, int], width: int, height: int) -> bytes:
    """A picture of one colour."""
    return assembled(width, height, zlib.compress((b"\0" + bytes(colour) * width) * height))


def assembled(width: int, height: int, rows: bytes) -> bytes:
    """A file that claims this size, whatever `rows`, the compressed pixels, hold."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk; checks their sums."""
    assert png.startswith(SIGNATURE)
    place = len(SIGNATURE)
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        content = png[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", png[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(kind + content)
        yield kind, content
        place += 12 + length


def decode(png: bytes) -> Pixels:
    found = list(chunks(png))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", found[0][1])
    assert (depth, colour, interlaced) == (8, 2, 0)
    raw = zlib.decompress(b"".join(content for kind, content in found if kind == b"IDAT"))
    stride = width * CHANNELS + 1
    above = bytes(stride - 1)
    rows = []
    for start in range(0, height * stride, stride):
        above = _unfiltered(raw[start], raw[start + 1 : start + stride], above)
        rows.append(above)
    return Pixels(width, height, rows)


def _unfiltered(kind: int, line: bytes, above: bytes) -> bytes:
    """RFC 2083, section 6."""
    row = bytearray()
    for place, value in enumerate(line):
        left = row[place - CHANNELS] if place >= CHANNELS else 0
        corner = above[place - CHANNELS] if place >= CHANNELS else 0
        predicted = (0, left, above[place], (left + above[place]) // 2, _paeth(left, above[place], corner))
        row.append((value + predicted[kind]) % 256)
    return bytes(row)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def largest_difference(one: bytes, other: bytes) -> int:
    """Between two PNG files of one size, over all pixels and channels."""
    first, second = decode(one), decode(other)
    assert first[:2] == second[:2]
    return max(
        abs(a - b) for rows in zip(first.rows, second.rows, strict=True) for a, b in zip(*rows, strict=True)
    )
