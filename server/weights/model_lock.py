"""`model.lock`, beside the weights: what the folder holds, file by file, and where it came from. Hashes nothing."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from server.disk import sync_folder
from server.weights.problem import WeightsError

LOCK_NAME = "model.lock"
PARTS_NAME = ".pulling"
"""Folder beside the weights for files that are under way; it is no part of a model."""


class LockedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is relative to the folder, with `/`; `sha256` in small hex."""

    path: str
    size: int
    sha256: str


class ModelLock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`hub`, `model` and `commit` are None for weights that did not come from a hub."""

    hub: str | None
    model: str | None
    commit: str | None
    licence: str
    files: tuple[LockedFile, ...]
    version: int = 1

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)


def read_lock(folder: Path) -> ModelLock | None:
    """None where there is none. Raises WeightsError for one that cannot be read."""
    path = folder / LOCK_NAME
    try:
        lock = msgspec.json.decode(path.read_bytes(), type=ModelLock)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not all(is_safe(file.path) for file in lock.files):
        raise WeightsError(f"{path} names files outside its folder")
    return lock


def is_safe(path: str) -> bool:
    """Whether a path leads to a file below a folder, and can be printed."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not any(part in ("", ".", "..") for part in parts)


def write_lock(folder: Path, lock: ModelLock) -> None:
    """Whole or not at all, also over a power cut."""
    aside = folder / f".{LOCK_NAME}"
    with aside.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / LOCK_NAME)
    sync_folder(folder)


def allowed_hashes(files: Iterable[LockedFile], allowed: Collection[str]) -> dict[str, str]:
    """`allowed_files` of a backend: the hashes of those files that the operator trusts by name."""
    return {file.path: file.sha256 for file in files if file.path in allowed}


def list_files(folder: Path) -> dict[str, int]:
    """Size in bytes of every file below, by its path; without the lock and what is under way. Raises OSError."""
    found: dict[str, int] = {}
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if name != PARTS_NAME)
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if relative not in (LOCK_NAME, f".{LOCK_NAME}"):
                found[relative] = path.stat().st_size
    return found


def _raise(error: OSError) -> None:
    raise error
