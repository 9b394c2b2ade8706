"""A file tree in memory that remembers which part of it would outlive a power cut. Knows no FUSE.

Stricter than most real file systems: the content of a file lasts only once the file was synced, a name (made,
renamed, removed) only once its directory was. Modes and times last at once.
"""

import errno
import itertools
import os
import random
import stat
import time
from dataclasses import dataclass, field

BLOCK_BYTES = 4096
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Node:
    """What a name stands for."""

    mode: int
    number: int = field(default_factory=_numbers.__next__)
    owner: tuple[int, int] = (0, 0)
    modified_ns: int = field(default_factory=time.time_ns)

    @property
    def size_bytes(self) -> int:
        return 0


@dataclass(kw_only=True)
class Link(Node):
    target: str


class File(Node):
    """Content, and for each block changed since the last sync what it was then."""

    def __init__(self, mode: int) -> None:
        super().__init__(mode=mode)
        self.content = bytearray()
        self._synced_size = 0
        self._synced_blocks: dict[int, bytes] = {}

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    @property
    def num_unsynced(self) -> int:
        """Blocks."""
        return len(self._synced_blocks)

    def write(self, piece: bytes, offset: int) -> None:
        self._remember(min(offset, len(self.content)), offset + len(piece))
        if offset > len(self.content):
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(piece)] = piece
        self.modified_ns = time.time_ns()

    def truncate(self, size: int) -> None:
        before = len(self.content)
        self._remember(min(size, before), max(size, before))
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))
        self.modified_ns = time.time_ns()

    def sync(self) -> None:
        self._synced_size = len(self.content)
        self._synced_blocks.clear()

    def lose(self, chance: random.Random | None) -> None:
        """Back to the last sync; with `chance` half of the changed blocks had reached the disk on their own."""
        grown = len(self.content)
        size = self._synced_size if chance is None or chance.random() < 0.5 else max(grown, self._synced_size)
        self.content.extend(bytes(max(0, self._synced_size - grown)))
        for number, block in self._synced_blocks.items():
            if chance is None or chance.random() < 0.5:
                start = number * BLOCK_BYTES
                end = min(start + BLOCK_BYTES, len(self.content))
                self.content[start:end] = block.ljust(end - start, b"\0")
        del self.content[size:]
        self.sync()

    def _remember(self, start: int, end: int) -> None:
        last = min(end, max(len(self.content), self._synced_size)) if end > start else start
        for number in range(start // BLOCK_BYTES, max(last - 1, start) // BLOCK_BYTES + 1):
            if number not in self._synced_blocks:
                at = number * BLOCK_BYTES
                self._synced_blocks[number] = bytes(self.content[at : at + BLOCK_BYTES])


Change = dict[str, Node | None]


class Directory(Node):
    """Names, and the changes to them since the last sync, in their order."""

    def __init__(self, mode: int) -> None:
        super().__init__(mode=stat.S_IFDIR | mode)
        self.names: dict[str, Node] = {}
        self._synced: dict[str, Node] = {}
        self._changes: list[Change] = []

    def change(self, change: Change) -> None:
        """Names to what they stand for from now on, None for a name that goes; atomic."""
        self._changes.append(change)
        _apply(change, self.names)
        self.modified_ns = time.time_ns()

    def sync(self) -> None:
        self._synced = dict(self.names)
        self._changes.clear()

    def lose(self, chance: random.Random | None) -> None:
        """Back to the last sync; with `chance` the first few changes had reached the disk on their own."""
        lasting = 0 if chance is None else chance.randint(0, len(self._changes))
        for change in self._changes[:lasting]:
            _apply(change, self._synced)
        self.names = dict(self._synced)
        self._changes.clear()


def _apply(change: Change, names: dict[str, Node]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Tree:
    """All of it, by absolute path. Raises OSError as a file system does."""

    def __init__(self) -> None:
        self.root = Directory(0o755)

    def find(self, path: str) -> Node:
        node: Node = self.root
        for name in filter(None, path.split("/")):
            if not isinstance(node, Directory):
                raise OSError(errno.ENOTDIR, path)
            if name not in node.names:
                raise OSError(errno.ENOENT, path)
            node = node.names[name]
        return node

    def directory(self, path: str) -> Directory:
        node = self.find(path)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, path)
        return node

    def add(self, path: str, node: Node) -> None:
        parent, name = self._place(path)
        if name in parent.names:
            raise OSError(errno.EEXIST, path)
        parent.change({name: node})

    def remove(self, path: str) -> None:
        node = self.find(path)
        if isinstance(node, Directory) and node.names:
            raise OSError(errno.ENOTEMPTY, path)
        parent, name = self._place(path)
        parent.change({name: None})

    def rename(self, old: str, new: str) -> None:
        """Atomic within a directory; from one to another the two names last on their own."""
        node = self.find(old)
        (source, source_name), (target, target_name) = self._place(old), self._place(new)
        replaced = target.names.get(target_name)
        if isinstance(replaced, Directory) and replaced.names:
            raise OSError(errno.ENOTEMPTY, new)
        if source is target:
            source.change({source_name: None, target_name: node})
        else:
            target.change({target_name: node})
            source.change({source_name: None})

    def power_cut(self, chance: random.Random | None = None) -> None:
        """What was not synced is gone; with `chance` a part of it survives."""
        seen: set[int] = set()
        waiting: list[Node] = [self.root]
        for node in waiting:
            if node.number in seen:
                continue
            seen.add(node.number)
            if isinstance(node, (File, Directory)):
                node.lose(chance)
            if isinstance(node, Directory):
                waiting += node.names.values()

    def _place(self, path: str) -> tuple[Directory, str]:
        parent, name = os.path.split(path)
        return self.directory(parent), name
