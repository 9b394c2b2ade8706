"""Compares a folder of weights with its `model.lock`: sizes first, contents only where sizes agree. Blocks."""

from pathlib import Path

import msgspec

from server.weights.hashing import sha256_of
from server.weights.model_lock import LockedFile, ModelLock, list_files
from server.weights.progress import Progress


class Difference(msgspec.Struct, frozen=True):
    """`kind` is missing, truncated, longer, altered or extra."""

    path: str
    kind: str
    detail: str = ""


def compare_sizes(folder: Path, lock: ModelLock) -> list[Difference]:
    """What a look at the folder tells. Raises OSError."""
    present = list_files(folder) if folder.is_dir() else {}
    wanted = {file.path: file.size for file in lock.files}
    found = [
        difference
        for path, size in wanted.items()
        if (difference := _compare(path, size, present.get(path))) is not None
    ]
    return found + [Difference(path, "extra") for path in present if path not in wanted]


def compare_contents(
    folder: Path, lock: ModelLock, differences: list[Difference], progress: Progress
) -> list[Difference]:
    """The altered among the files that `differences` does not name. Raises OSError."""
    known = {difference.path for difference in differences}
    rest = [file for file in lock.files if file.path not in known]
    progress.begin(sum(file.size for file in rest))
    return [Difference(file.path, "altered") for file in rest if not _is_same(folder, file, progress)]


def lock_files(folder: Path, progress: Progress) -> tuple[LockedFile, ...]:
    """Every file of the folder with its hash. Raises OSError."""
    sizes = list_files(folder)
    progress.begin(sum(sizes.values()))
    locked = []
    for name, size_bytes in sizes.items():
        progress.file(name, size_bytes)
        locked.append(LockedFile(name, size_bytes, sha256_of(folder / name, progress.advance)))
    return tuple(locked)


def _compare(path: str, wanted: int, present: int | None) -> Difference | None:
    if present is None:
        return Difference(path, "missing")
    if present == wanted:
        return None
    kind = "truncated" if present < wanted else "longer"
    return Difference(path, kind, f"{present} of {wanted} bytes")


def _is_same(folder: Path, file: LockedFile, progress: Progress) -> bool:
    progress.file(file.path, file.size)
    return sha256_of(folder / file.path, progress.advance) == file.sha256
