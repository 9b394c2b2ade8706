"""A server that is killed while it takes a file: after its return the file is whole, or there is none."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from server.files import FileStore
from server.store.database import Database
from server.store.schema import files as table
from tests.server.files.conftest import OWNER, WallClock, put
from tests.server.files.one_upload import CONTENT

ROOT = Path(__file__).resolve().parents[3]


def killed_at(folder: Path, store_url: str, failpoint: str) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.server.files.one_upload",
        str(folder),
        store_url,
        f"{failpoint}:1:kill",
    ]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode


@pytest.mark.parametrize(
    ("failpoint", "num_files"),
    [("upload.before_rename", 0), ("upload.after_rename", 0), ("upload.after_row", 1)],
)
async def test_killed_upload_is_whole_or_not_there(
    tmp_path: Path,
    db: Database,
    files: FileStore,
    clock: WallClock,
    store_url: str,
    failpoint: str,
    num_files: int,
) -> None:
    status = await asyncio.to_thread(killed_at, tmp_path, store_url, failpoint)

    await files.start()
    found, _ = await files.list(OWNER, purpose=None, limit=10, after=None, is_newest_first=True)
    clock.advance(3700)
    await files.sweep()

    assert status == -signal.SIGKILL
    assert [files.path(record.id).read_bytes() for record in found] == [CONTENT] * num_files
    content = [path.name for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert content == [record.id for record in found]


_SWEEP = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from server import failpoints
from server.disk import DiskGuard
from server.files import FileStore
from server.store import open_store
from server.store.database import Database

folder = Path(sys.argv[1])
failpoints.arm("sweep.deleted:1:kill")
files = FileStore(
    Database(open_store(sys.argv[2])),
    folder / "files",
    DiskGuard(folder, 0),
    now=lambda: datetime.now(UTC) + timedelta(hours=2),
)
asyncio.run(files.sweep())
"""


async def test_killed_sweep_is_ended_by_the_next(
    tmp_path: Path, db: Database, files: FileStore, clock: WallClock, store_url: str
) -> None:
    record = await put(files, life_s=3600)
    command = [sys.executable, "-c", _SWEEP, str(tmp_path), store_url]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=False)
    has_content = files.path(record.id).exists()
    clock.advance(7200)

    await files.sweep()

    assert (ended.returncode, has_content) == (-signal.SIGKILL, False)
    assert await db.read(lambda connection: connection.execute(select(table.c.id)).all()) == []
