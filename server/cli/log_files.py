"""The files that the server and its workers log into: read from the end, followed. Knows not how lines are shown."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SERVER = "server"
_BLOCK_BYTES = 64 * 1024


def log_files(data_dir: Path) -> dict[str, Path]:
    """Name to file: `server` first, then the backends' by their ids."""
    found = {file.stem: file for file in sorted((data_dir / "logs").glob("*.log"))}
    return {name: found[name] for name in sorted(found, key=lambda name: (name != SERVER, name))}


def last_lines(file: Path, count: int) -> tuple[list[str], int]:
    """The last `count` whole lines, and where they end. Reads no more of the file than it needs."""
    with file.open("rb") as content:
        end = position = content.seek(0, os.SEEK_END)
        tail = b""
        while position > 0 and tail.count(b"\n") <= count:
            size = min(_BLOCK_BYTES, position)
            position -= size
            content.seek(position)
            tail = content.read(size) + tail
    whole, newline, rest = tail.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    return [_text(line) for line in lines[max(len(lines) - count, 0) :]], end - len(rest)


class FollowedFile:
    """What is added to a file from `position` on; begins anew when it is cut, or replaced by another."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._position = position
        self._rest = b""

    def new_lines(self) -> Iterator[str]:
        """Whole lines only; the rest of a line is kept until its end comes."""
        yield from self._read()
        if self._is_replaced():
            self.close()
            self._position, self._rest = 0, b""
            yield from self._read()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> Iterator[str]:
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return
        if os.fstat(self._file.fileno()).st_size < self._position:  # cut by copytruncate
            self._position, self._rest = 0, b""
        self._file.seek(self._position)
        while block := self._file.read(_BLOCK_BYTES):
            self._position += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            yield from map(_text, lines)

    def _is_replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False  # its successor may be still to come
        held = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
