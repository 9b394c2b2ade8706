"""A runner of lines over a fake gateway, real files and a clock that stands still."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from server.batch.line_answer import LineAnswer
from server.batch.line_order import LineOrder
from server.batch.line_runner import LineRunner
from server.caller import Caller, Permission
from server.disk import DiskGuard
from server.files import FileRecord, FileStore
from server.gateway import Gateway
from server.http.uploads import Spool
from server.media import MediaStore
from server.media.token import Signer
from server.remote import RemoteFiles
from server.store import open_store
from server.store.database import Database
from tests.fakes.fake_gateway import FakeGateway
from tests.fakes.fake_media import Clock, MediaMemory

OWNER, BATCH = "key_1", "batch_0123456789abcdef01234567"
KEPT_S = 86400.0


class Bench:
    """One order, and all that lines are run with. `spooled` and `incoming` are what is left on disk at the moment."""

    def __init__(self, folder: Path, db: Database) -> None:
        self.clock = Clock()
        self.gateway = FakeGateway()
        self.storage = MediaMemory()
        self.media = MediaStore(self.storage, Signer(b"key"), ttl_s=3600, now=self.clock)
        self.files = FileStore(db, folder / "files", DiskGuard(folder, 0), now=self.now)
        self.spool = folder / "uploads"
        self.folder = folder / "files"
        self.num_started = 0
        self.runner = LineRunner(
            cast(Gateway, self.gateway),
            self.files,
            self.media,
            remote=RemoteFiles((), max_bytes=1),
            uploads=Spool(self.spool, 1000),
            now=self.now,
        )
        self.order = LineOrder(
            caller=Caller(OWNER, "test", frozenset(Permission)),
            batch_id=BATCH,
            line_no=3,
            base_url="https://hearth.example.org",
            kept_until=self.now() + timedelta(seconds=KEPT_S),
            request_id="req_line",
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    async def run(self, raw: bytes) -> LineAnswer:
        return await self.runner.run(raw, self.order, self._before_start)

    async def _before_start(self) -> None:
        self.num_started += 1

    async def keep(self, content: bytes, owner: str = OWNER) -> str:
        """The id of a new file."""
        draft = self.files.draft()
        await draft.add(content)
        sealed = await draft.seal()
        await self.files.add(
            FileRecord(
                id=sealed.id,
                owner=owner,
                purpose="user_data",
                filename="sound.wav",
                content_type="audio/wav",
                size_bytes=sealed.size_bytes,
                sha256=sealed.sha256,
                created_at=self.now(),
                expires_at=self.now() + timedelta(hours=1),
            )
        )
        return sealed.id

    def left(self) -> list[Path]:
        """Temporary files that nobody has removed."""
        return [*self.spool.iterdir(), *(self.folder / "incoming").iterdir()]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = open_store(f"sqlite:///{tmp_path / 'hearth.db'}")
    db = Database(store)
    made = Bench(tmp_path, db)
    made.spool.mkdir()
    await made.files.start()
    yield made
    db.close()
    store.close()
