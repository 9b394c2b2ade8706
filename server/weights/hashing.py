"""Hashes of files that may be large, piece by piece: SHA-256, and git's own for small files. Blocks."""

import hashlib
from collections.abc import Callable
from pathlib import Path

PIECE_BYTES = 1 << 20
Count = Callable[[int], None]


class Digests:
    """The hashes of one file over all pieces so far; git's only where its whole size is given."""

    def __init__(self, blob_size: int | None = None) -> None:
        self._blob_size = blob_size
        self.restart()

    def restart(self) -> None:
        self.num_bytes = 0
        self._sha256 = hashlib.sha256()
        self._blob = None
        if self._blob_size is not None:
            self._blob = hashlib.sha1(b"blob %d\0" % self._blob_size, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        self.num_bytes += len(piece)
        self._sha256.update(piece)
        if self._blob is not None:
            self._blob.update(piece)

    def read(self, path: Path, count: Count) -> None:
        """Go on with all that is in a file; `count` gets the number of bytes as they come."""
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                self.update(piece)
                count(len(piece))

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def blob_id(self) -> str | None:
        """What git calls the file: SHA-1 over its size and its content."""
        return None if self._blob is None else self._blob.hexdigest()


def sha256_of(path: Path, count: Count) -> str:
    digests = Digests()
    digests.read(path, count)
    return digests.sha256
