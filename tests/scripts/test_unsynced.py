"""The disk whose power can be cut, mounted for real; what SQLite loses on it."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from proof import disk as disks
from proof.sqlite_cuts import measure

pytestmark = pytest.mark.skipif(disks.missing() is not None, reason=f"no such disk: {disks.missing()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[disks.Disk]:
    with disks.mounted(tmp_path / "disk", tmp_path / "log") as mounted:
        yield mounted


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def test_a_rename_is_lost_without_a_sync_of_the_directory(disk: disks.Disk) -> None:
    for name in ("kept", "lost"):
        (disk.folder / f"{name}.tmp").write_bytes(b"x" * 3_000_000)
        sync(disk.folder / f"{name}.tmp")
        sync(disk.folder)
    (disk.folder / "kept.tmp").rename(disk.folder / "kept")
    sync(disk.folder)
    (disk.folder / "lost.tmp").rename(disk.folder / "lost")

    disk.cut_power()

    assert {path.name: path.stat().st_size for path in disk.folder.iterdir()} == {
        "kept": 3_000_000,
        "lost.tmp": 3_000_000,
    }


def test_what_was_appended_after_the_sync_is_lost(disk: disks.Disk) -> None:
    with (disk.folder / "a").open("wb", buffering=0) as file:
        file.write(b"one")
        os.fsync(file.fileno())
        file.write(b"two")
        assert (disk.folder / "a").read_bytes() == b"onetwo"
        os.ftruncate(file.fileno(), 1)
    sync(disk.folder)

    disk.cut_power()

    assert (disk.folder / "a").read_bytes() == b"one"


def test_everything_fails_after_the_last_sync_until_the_cut(disk: disks.Disk) -> None:
    disk.stop_after(2)
    (disk.folder / "a").write_bytes(b"one")
    sync(disk.folder / "a")
    sync(disk.folder)

    with pytest.raises(OSError, match="Input/output"):
        (disk.folder / "b").write_bytes(b"two")
    disk.cut_power()

    assert [path.name for path in disk.folder.iterdir()] == ["a"]
    assert disk.figures()["syncs"] == 2


def test_links_sockets_and_removed_files_work(disk: disks.Disk) -> None:
    """What a server's data folder needs."""
    (disk.folder / "link").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(disk.folder / "s"))
        listener.listen()
        client.connect(str(disk.folder / "s"))
    with (disk.folder / "gone").open("w+b", buffering=0) as file:
        (disk.folder / "gone").unlink()
        file.write(b"still here")
        file.seek(0)

        assert file.read() == b"still here"
    assert (disk.folder / "link").readlink() == Path("/etc")
    assert not (disk.folder / "gone").exists()


def test_sqlite_loses_commits_by_its_level(disk: disks.Disk) -> None:
    """With the journal mode DELETE only EXTRA syncs the directory after the journal's removal, which is the commit."""
    losses = {level: measure(disk, level, num_cuts=6) for level in ("OFF", "FULL", "EXTRA")}

    assert losses["OFF"].lost > 0
    assert losses["FULL"].lost > 0
    assert losses["EXTRA"].acknowledged > 0
    assert (losses["EXTRA"].lost, losses["EXTRA"].damaged) == (0, 0)
