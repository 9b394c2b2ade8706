"""Folders of the settings: rights, room, and on what kind of file system they lie."""

import os
import stat
import tempfile
from pathlib import Path

from server.doctor.facts import Place, Places
from server.settings import Settings
from server.store import path_of

MOUNTS = Path("/proc/self/mountinfo")


def look_at_places(settings: Settings) -> Places:
    store = path_of(settings.store_url)
    return Places(
        data=look_at(settings.data_dir),
        files=look_at(settings.files_folder),
        models=look_at(settings.models_dir),
        engines=look_at(settings.engines_dir),
        temporary=look_at(Path(tempfile.gettempdir())),
        store=None if store is None else look_at(store.resolve().parent),
        min_free_bytes=settings.min_free_bytes,
    )


def look_at(path: Path) -> Place:
    """Of the nearest folder that exists: the path itself may still be to come."""
    path = path.absolute()
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    room = os.statvfs(nearest)
    return Place(
        path=path,
        nearest=nearest,
        is_folder=nearest.is_dir(),
        can_read=os.access(nearest, os.R_OK | os.X_OK),
        can_write=os.access(nearest, os.W_OK | os.X_OK),
        mode=stat.S_IMODE(nearest.stat().st_mode),
        file_system=file_system_of(nearest, MOUNTS.read_text(encoding="utf-8", errors="replace")),
        free_bytes=room.f_bavail * room.f_frsize,
    )


def file_system_of(path: Path, mounts: str) -> str:
    """The type of the innermost mount that holds `path`; of two on one folder the later one."""
    found, length = "unknown", -1
    resolved = path.resolve()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        if resolved.is_relative_to(point) and len(point.parts) >= length:
            found, length = after.split()[0], len(point.parts)
    return found
