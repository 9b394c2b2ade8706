"""Hashes of files that may be large, piece by piece: SHA-256, and git's own for small files. Blocks."""

import hashlib
from collections.abc import Callable
from pathlib import Path

PIECE_BYTES = 1 << 20
Count = Callable[[int], None]


class Digests:
    """Both hashes of one file of a known size, over all pieces so far."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self.restart()

    def restart(self) -> None:
        self.num_bytes = 0
        self._sha256 = hashlib.sha256()
        self._blob = hashlib.sha1(b"blob %d\0" % self._size_bytes, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        self.num_bytes += len(piece)
        self._sha256.update(piece)
        self._blob.update(piece)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def blob_id(self) -> str:
        """What git calls the file: SHA-1 over its size and its content."""
        return self._blob.hexdigest()


def digest_file(path: Path, size_bytes: int, count: Count) -> Digests:
    """Of what is in `path`, which may be the beginning of a file of `size_bytes`; `count` gets bytes as they come."""
    digests = Digests(size_bytes)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digests.update(piece)
            count(len(piece))
    return digests


def sha256_of(path: Path, count: Count) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            count(len(piece))
    return digest.hexdigest()
