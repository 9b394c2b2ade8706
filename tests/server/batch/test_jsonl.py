"""Files of lines, whatever ends them, and with memory for one line."""

import io
import random

import pytest

from server.batch.jsonl import RawLine, read_lines

CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing": (b"", []),
    "mark_only": (b"\xef\xbb\xbf", []),
    "half_a_mark": (b"\xef\xbb", [b"\xef\xbb"]),
    "one": (b"a\n", [b"a"]),
    "no_last_newline": (b"a\nb", [b"a", b"b"]),
    "crlf": (b"a\r\nb\r\n", [b"a", b"b"]),
    "crlf_without_the_last": (b"a\r\nb\r", [b"a", b"b"]),
    "lone_returns_end_nothing": (b"a\rb\r\rc\n", [b"a\rb\r\rc"]),
    "blank": (b"\n \t\r\n\na\n\n", [b"", b" \t", b"", b"a", b""]),
    "mark": (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", [b"a", b"\xef\xbb\xbfb"]),
    "nul": (b"a\0b\n\0\n", [b"a\0b", b"\0"]),
    "unicode_line_ends_end_nothing": ("a\u2028b\u0085c\n".encode(), ["a\u2028b\u0085c".encode()]),
}


def lines(content: bytes, max_line_bytes: int = 100) -> list[RawLine]:
    return list(read_lines(io.BytesIO(content), max_line_bytes))


@pytest.mark.parametrize(("content", "expected"), CASES.values(), ids=CASES)
def test_lines_are_found(content: bytes, expected: list[bytes]) -> None:
    found = lines(content)

    assert [line.raw for line in found] == expected
    assert [line.line_no for line in found] == list(range(1, len(expected) + 1))
    assert [content[line.start : line.start + line.size] for line in found] == expected


def test_blank_lines_are_told() -> None:
    assert [line.is_blank for line in lines(b"\n \t\r\nx\n\x0b\n")] == [True, True, False, False]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_length_of_a_line_counts_without_its_end(end: bytes) -> None:
    assert lines(b"x" * 10 + end, 10)[0].raw == b"x" * 10
    assert lines(b"x" * 11 + end, 10) == [RawLine(1, 0, 11, None)]
    assert lines(b"x" * 12 + end, 10) == [RawLine(1, 0, 12, None)]


def test_long_line_is_skipped_in_pieces() -> None:
    """A gigabyte without a newline must not be held."""
    file = Watched(b"a\n" + b"x" * 3_000_000 + b"\nb\n")

    found = list(read_lines(file, 1000))

    assert [(line.line_no, line.start, line.raw) for line in found] == [
        (1, 0, b"a"),
        (2, 2, None),
        (3, 3_000_003, b"b"),
    ]
    assert file.longest < 300_000


def test_any_lines_are_found_again() -> None:
    chance = random.Random(7)
    for _ in range(500):
        contents = [chance.randbytes(chance.randrange(12)).translate(None, b"\r\n") for _ in range(9)]
        ends = [chance.choice([b"\n", b"\r\n"]) for _ in contents]
        contents[-1] += b"."
        mark = b"\xef\xbb\xbf" * chance.randrange(2)
        content = mark + b"".join(map(bytes.__add__, contents, ends))

        found = lines(content, 6)

        assert [line.raw for line in found] == [text if len(text) <= 6 else None for text in contents]
        assert [content[line.start : line.start + line.size] for line in found] == contents


class Watched(io.BytesIO):
    """Remembers the longest piece that was read."""

    longest = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        piece = super().readline(size)
        self.longest = max(self.longest, len(piece))
        return piece
