"""What the routes of files are tested over: a real store and a real folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.disk import DiskGuard
from server.files import FileStore
from server.store import open_store
from server.store.database import Database
from tests.fakes.surface import Surface


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    store = open_store(f"sqlite:///{tmp_path}/hearth.db")
    made = Database(store)
    yield made
    made.close()
    store.close()


@pytest.fixture
async def files(surface: Surface, database: Database, folder: Path) -> FileStore:
    disk = DiskGuard(folder, 0)
    made = FileStore(database, folder, disk)
    await made.start()
    surface.keep_files(made, disk, database)
    return made
