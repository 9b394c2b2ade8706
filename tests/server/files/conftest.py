"""A file store over a real store of each kind and a real folder, with a clock of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.disk import DiskGuard
from server.files import FileRecord, FileStore
from server.store import open_store
from server.store.database import Database

OWNER = "apikey_a"


class WallClock:
    """Begins now, because the files of the tests do, and moves when told."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def db(store_url: str) -> Iterator[Database]:
    store = open_store(store_url)
    database = Database(store)
    yield database
    database.close()
    store.close()


@pytest.fixture
async def files(tmp_path: Path, db: Database, clock: WallClock) -> FileStore:
    folder = tmp_path / "files"
    made = FileStore(db, folder, DiskGuard(folder, 0), now=clock)
    await made.start()
    return made


async def put(
    store: FileStore,
    content: bytes = b"{}\n",
    *,
    now: datetime | None = None,
    owner: str = OWNER,
    purpose: str = "batch",
    life_s: float = 3600,
) -> FileRecord:
    draft = store.draft()
    await draft.add(content)
    sealed = await draft.seal()
    created_at = now or datetime.now(UTC)
    record = FileRecord(
        id=sealed.id,
        owner=owner,
        purpose=purpose,
        filename="in.jsonl",
        content_type="application/jsonl",
        size_bytes=sealed.size_bytes,
        sha256=sealed.sha256,
        created_at=created_at,
        expires_at=created_at + timedelta(seconds=life_s),
    )
    await store.add(record)
    return record
