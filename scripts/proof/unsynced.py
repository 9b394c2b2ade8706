"""Mounts a `durable.Tree`: a file system whose power can be cut. Needs Linux, FUSE 3 and the package mfusepy.

    python -m proof.unsynced MOUNTPOINT

Orders are written to the file `.power_cut` at its root: `drop` loses all that was not synced, `tear 17` a part of
it (17 is the seed), `stop 5` makes everything fail after five more syncs, until the next cut or `go`. Reading it gives
figures in JSON. Nothing is cached by the kernel, so a mapped file cannot be shared; SQLite needs that in WAL mode only.
"""

import errno
import json
import random
import stat
import sys
import time
from typing import Any

import mfusepy

from proof.durable import Directory, File, Link, Node, Tree

CONTROL = "/.power_cut"
_CONTROL_HANDLE = 0
FREE_BLOCKS = 1 << 24


class UnsyncedFileSystem(mfusepy.Operations):  # type: ignore[misc]  # the package has no types
    """One thread serves all calls."""

    use_ns = True

    def __init__(self) -> None:
        self.tree = Tree()
        self._open: dict[int, Node] = {}
        self._next_handle = 1
        self._syncs_left: int | None = None
        self._figures = {"syncs": 0, "cuts": 0, "writes": 0}

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:
        config = config_3
        config.direct_io = config.hard_remove = config.nullpath_ok = 1
        config.attr_timeout = config.entry_timeout = config.negative_timeout = 0.0

    # What can be asked of a name

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        if path == CONTROL or fh == _CONTROL_HANDLE:
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": 1 << 16}
        node = self._node(path, fh)
        names = ("st_atime", "st_mtime", "st_ctime")
        return dict.fromkeys(names, node.modified_ns) | {
            "st_mode": node.mode,
            "st_ino": node.number,
            "st_nlink": 2 if isinstance(node, Directory) else 1,
            "st_size": node.size_bytes,
            "st_uid": node.owner[0],
            "st_gid": node.owner[1],
        }

    def readdir(self, path: str | None, fh: int) -> list[str]:
        self._alive()
        return [".", "..", *self._directory(fh).names]

    def readlink(self, path: str) -> str:
        node = self._alive().find(path)
        if not isinstance(node, Link):
            raise OSError(errno.EINVAL, path)
        return node.target

    def statfs(self, path: str) -> dict[str, int]:
        sizes = dict.fromkeys(("f_bsize", "f_frsize"), 4096)
        return sizes | dict.fromkeys(("f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"), FREE_BLOCKS)

    # What changes names

    def mkdir(self, path: str, mode: int) -> None:
        self._add(path, Directory(mode & 0o7777))

    def mknod(self, path: str, mode: int, dev: int) -> None:
        self._add(path, File(mode))

    def symlink(self, target: str, source: str) -> None:
        self._add(target, Link(mode=stat.S_IFLNK | 0o777, target=source))

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        node = File(stat.S_IFREG | (mode & 0o7777))
        self._add(path, node)
        return self._handle(node)

    def unlink(self, path: str) -> None:
        self._alive().remove(path)

    rmdir = unlink

    def rename(self, old: str, new: str) -> None:
        self._alive().rename(old, new)

    def chmod(self, path: str, mode: int) -> None:
        node = self._alive().find(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        node = self._alive().find(path)
        old_uid, old_gid = node.owner
        node.owner = (old_uid if uid == -1 else uid, old_gid if gid == -1 else gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        self._alive().find(path).modified_ns = times[1] if times else time.time_ns()

    # Open files

    def open(self, path: str, flags: int) -> int:
        return _CONTROL_HANDLE if path == CONTROL else self._handle(self._alive().find(path))

    def opendir(self, path: str) -> int:
        return self._handle(self._alive().directory(path))

    def release(self, path: str | None, fh: int) -> None:
        self._open.pop(fh, None)

    releasedir = release

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        if fh == _CONTROL_HANDLE:
            figures = self._figures | {"is_stopped": int(self._is_stopped)}
            return json.dumps(figures).encode()[offset : offset + size]
        return bytes(self._file(fh).content[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        if fh == _CONTROL_HANDLE:
            self._obey(*data.decode().split())
        else:
            self._file(fh).write(data, offset)
            self._figures["writes"] += 1
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> None:
        if fh == _CONTROL_HANDLE:
            return
        self._alive()
        node = self._node(path, fh)
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, path)
        node.truncate(length)

    # Syncs

    def fsync(self, path: str | None, datasync: int, fh: int) -> None:
        if fh != _CONTROL_HANDLE:
            self._count_sync()
            self._file(fh).sync()

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> None:
        self._count_sync()
        self._directory(fh).sync()

    def _count_sync(self) -> None:
        self._alive()
        self._figures["syncs"] += 1
        if self._syncs_left is not None:
            self._syncs_left -= 1

    def _obey(self, order: str, number: str = "0") -> None:
        self._syncs_left = int(number) if order == "stop" else None
        if order in ("drop", "tear"):
            self.tree.power_cut(random.Random(int(number)) if order == "tear" else None)
            self._figures["cuts"] += 1

    @property
    def _is_stopped(self) -> bool:
        return self._syncs_left is not None and self._syncs_left <= 0

    def _alive(self) -> Tree:
        if self._is_stopped:
            raise OSError(errno.EIO, "the power is gone")
        return self.tree

    def _add(self, path: str, node: Node) -> None:
        uid, gid, _ = mfusepy.fuse_get_context()
        node.owner = (uid, gid)
        self._alive().add(path, node)

    def _handle(self, node: Node) -> int:
        self._next_handle += 1
        self._open[self._next_handle] = node
        return self._next_handle

    def _node(self, path: str | None, handle: int | None) -> Node:
        if handle is not None and handle in self._open:
            return self._open[handle]
        if path is None:
            raise OSError(errno.EBADF, "no such open file")
        return self.tree.find(path)

    def _directory(self, handle: int) -> Directory:
        node = self._open.get(handle)
        if not isinstance(node, Directory):
            raise OSError(errno.EBADF, "no such open directory")
        return node

    def _file(self, handle: int) -> File:
        self._alive()
        node = self._open.get(handle)
        if not isinstance(node, File):
            raise OSError(errno.EBADF, "no such open file")
        return node


class _Mount(mfusepy.FUSE):  # type: ignore[misc]
    """The package drops the handle of a file that is truncated while it is open, and there may be no path."""

    truncate_fuse_3 = mfusepy.FUSE.ftruncate


def main() -> None:
    file_system, options = UnsyncedFileSystem(), {"default_permissions": True, "fsname": "unsynced"}
    _Mount(file_system, sys.argv[1], foreground=True, nothreads=True, **options)


if __name__ == "__main__":
    main()
