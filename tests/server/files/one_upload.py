"""A process that makes one file in the folder that it is told, armed as it is told. Run by test_crash.py."""

import asyncio
import sys
from pathlib import Path

from server import failpoints
from server.disk import DiskGuard
from server.files import FileStore
from server.idempotency import Once
from server.store import open_store
from server.store.database import Database
from server.wire.file_body import FileForm
from server.wire.file_upload import keep_file
from server.wire.form_body import ReadForm
from tests.server.files.conftest import OWNER

CONTENT = b"line\n" * 100_000


async def upload(folder: Path, store_url: str) -> None:
    files = FileStore(Database(open_store(store_url)), folder / "files", DiskGuard(folder, 0))
    await files.start()
    draft = files.draft()
    await draft.add(CONTENT)
    form = ReadForm(FileForm(), draft, "in.jsonl")
    await keep_file(form, files, Once(), owner=OWNER, ttl_s=86400, render=lambda record: record.id.encode())


if __name__ == "__main__":
    failpoints.arm(sys.argv[3])
    asyncio.run(upload(Path(sys.argv[1]), sys.argv[2]))
