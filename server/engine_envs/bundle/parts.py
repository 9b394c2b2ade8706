"""A stream cut into files of one size, each with its digest. Knows not what is written."""

import hashlib
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple


class Part(NamedTuple):
    """A file and what has to be found in it; `path` is its name, or where it lies within the archive."""

    path: str
    size_bytes: int
    sha256: str


class PartWriter(RawIOBase):
    """Writes `<stem>.000`, `<stem>.001`, ... in `folder`, each `part_bytes` long but the last."""

    def __init__(self, folder: Path, stem: str, part_bytes: int) -> None:
        self.parts: list[Part] = []
        self._folder = folder
        self._stem = stem
        self._part_bytes = part_bytes
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        view = memoryview(content).cast("B")
        rest = view
        while rest:
            piece = rest[: self._part_bytes - self._written]
            self._open().write(piece)
            self._digest.update(piece)
            self._written += len(piece)
            rest = rest[len(piece) :]
            if self._written == self._part_bytes:
                self._end_part()
        return len(view)

    def close(self) -> None:
        if self._file is not None:
            self._end_part()
        super().close()

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._file = (self._folder / self._name()).open("wb")
        return self._file

    def _end_part(self) -> None:
        self._open().close()
        self._file = None
        self.parts.append(Part(self._name(), self._written, self._digest.hexdigest()))
        self._digest, self._written = hashlib.sha256(), 0

    def _name(self) -> str:
        return f"{self._stem}.{len(self.parts):03d}"
