"""The file of a SQLite store: private, whole, used by one server, with its backups beside it. Knows no table."""

import fcntl
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TextIO

BUSY_TIMEOUT_MS = 5000
CONFIGURATION_FAULT = 78  # EX_CONFIG of sysexits.h: starting again does not help
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class StoreError(Exception):
    """The store cannot be opened; the message tells the operator what to do and holds no password."""

    exit_status = 1


class CorruptStoreError(StoreError):
    """The file is damaged. It is left as it is."""

    exit_status = CONFIGURATION_FAULT


def claim(path: Path) -> TextIO:
    """A lock beside the store, held until it is closed; `path` may be a link. Raises StoreError if another has it."""
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = target.with_name(f"{target.name}.lock").open("a")
    except OSError as error:
        raise StoreError(f"cannot write beside the store {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StoreError(f"another server uses the store {path}") from error
    return lock


def make_private(path: Path) -> None:
    """Keys' digests live here: only our own user may read the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(f"cannot write the store {path}: {error.strerror}") from error


def refuse_damage(path: Path) -> None:
    """Before anything else opens the file. Raises CorruptStoreError."""
    if not is_whole(path) or (path.stat().st_size == 0 and backups_of(path)):
        raise CorruptStoreError(f"the store {path} is damaged; it was not changed. {_way_out(path)}")


def is_whole(path: Path, timeout_s: float = BUSY_TIMEOUT_MS / 1000) -> bool:
    """What SQLite's quick check says. Raises StoreError if it cannot be asked."""
    try:
        with closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode & 0xFF
        if code in _DAMAGE:
            return False
        reason = "is locked by another process" if code in _LOCKS else f"cannot be read ({error})"
        raise StoreError(f"the store {path} {reason}") from error
    return bool(verdict == "ok")


def backup_folder(path: Path) -> Path:
    return path.parent / "backups"


def backups_of(path: Path) -> list[Path]:
    """The oldest first: their names end with the time."""
    return sorted(backup_folder(path).glob(f"{path.stem}-*Z.db"))


def _way_out(path: Path) -> str:
    aside = path.parent / "damaged"
    away = f"mkdir {_quoted(aside)} && mv {_quoted(path)}* {_quoted(aside)}/"
    if backups := backups_of(path):
        return f"Restore the newest backup: {away} && cp {_quoted(backups[-1])} {_quoted(path)}"
    return (
        f"There is no backup in {backup_folder(path)}. Move it away: {away}, and restore one of yours to"
        f" {path} (sqlite3 {_quoted(path)} .recover may save what is readable)"
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
