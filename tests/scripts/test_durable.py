"""What the tree of files remembers over a power cut, without FUSE."""

import random
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from proof.durable import BLOCK_BYTES, Directory, File, Tree

FILE_MODE = stat.S_IFREG | 0o600


@pytest.fixture
def tree() -> Tree:
    return Tree()


def add_file(tree: Tree, path: str, content: bytes) -> File:
    file = File(FILE_MODE)
    tree.add(path, file)
    file.write(content, 0)
    return file


def content(tree: Tree, path: str) -> bytes:
    node = tree.find(path)
    assert isinstance(node, File)
    return bytes(node.content)


def test_a_new_name_needs_a_sync_of_its_directory(tree: Tree) -> None:
    add_file(tree, "/a", b"one").sync()

    tree.power_cut()

    assert tree.root.names == {}


def test_a_synced_name_without_synced_content_is_an_empty_file(tree: Tree) -> None:
    add_file(tree, "/a", b"one")
    tree.root.sync()

    tree.power_cut()

    assert content(tree, "/a") == b""


def test_content_goes_back_to_the_last_sync(tree: Tree) -> None:
    file = add_file(tree, "/a", b"a" * 10_000)
    tree.root.sync()
    file.sync()
    file.write(b"b" * 100, 4090)
    file.truncate(5000)
    file.truncate(20_000)
    file.write(b"c", 30_000)

    tree.power_cut()

    assert content(tree, "/a") == b"a" * 10_000


def test_random_writes_and_truncations_are_undone_exactly(tree: Tree) -> None:
    chance = random.Random(1)
    file = add_file(tree, "/a", b"")
    tree.root.sync()
    for _ in range(100):
        synced = bytes(file.content)
        file.sync()
        for _ in range(chance.randrange(6)):
            if chance.random() < 0.3:
                file.truncate(chance.randrange(20_000))
            else:
                file.write(chance.randbytes(chance.randrange(9000)), chance.randrange(20_000))
        if chance.random() < 0.5:
            tree.power_cut()
            assert content(tree, "/a") == synced


def test_rename_lasts_with_a_sync_of_the_directory_only(tree: Tree) -> None:
    add_file(tree, "/new", b"new").sync()
    add_file(tree, "/old", b"old").sync()
    tree.root.sync()
    tree.rename("/new", "/old")
    assert content(tree, "/old") == b"new"

    tree.power_cut()
    after_a_cut = {name: content(tree, name) for name in tree.root.names}
    tree.rename("/new", "/old")
    tree.root.sync()
    tree.power_cut()

    assert after_a_cut == {"new": b"new", "old": b"old"}
    assert {name: content(tree, name) for name in tree.root.names} == {"old": b"new"}


def test_a_rename_between_directories_needs_both_synced(tree: Tree) -> None:
    incoming = Directory(0o700)
    tree.add("/incoming", incoming)
    add_file(tree, "/incoming/x", b"x").sync()
    incoming.sync()
    tree.root.sync()
    tree.rename("/incoming/x", "/y")
    tree.root.sync()

    tree.power_cut()

    assert content(tree, "/y") == content(tree, "/incoming/x") == b"x"


def test_removal_without_a_sync_is_undone(tree: Tree) -> None:
    add_file(tree, "/a", b"one").sync()
    tree.root.sync()
    tree.remove("/a")

    tree.power_cut()

    assert content(tree, "/a") == b"one"


def test_a_torn_cut_keeps_whole_blocks_and_the_first_changes_of_names(tree: Tree) -> None:
    """Each block is as it was or as it was written, and in some run one stays while another goes."""
    seen = set()
    for seed in range(20):
        tree = Tree()
        file = add_file(tree, "/a", b"a" * 2 * BLOCK_BYTES)
        file.sync()
        tree.root.sync()
        file.write(b"b" * 2 * BLOCK_BYTES, 0)
        add_file(tree, "/first", b"")
        add_file(tree, "/second", b"")
        tree.power_cut(random.Random(seed))
        blocks = content(tree, "/a")[:BLOCK_BYTES], content(tree, "/a")[BLOCK_BYTES:]
        assert all(block in (b"a" * BLOCK_BYTES, b"b" * BLOCK_BYTES) for block in blocks)
        assert "second" not in tree.root.names or "first" in tree.root.names
        seen.add((blocks[0][:1], blocks[1][:1], len(tree.root.names)))

    assert len(seen) > 4
