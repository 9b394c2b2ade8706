"""Real services over a store in a temporary folder, and routes over fake ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from server.deps import Services
from tests.fakes.edge import make_services
from tests.fakes.surface import Surface


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path / "data")
    yield made
    made.database.close()
    made.keys.close()


@pytest.fixture
def surface(tmp_path: Path) -> Surface:
    return Surface(tmp_path)


@pytest.fixture
async def client(surface: Surface) -> AsyncIterator[httpx.AsyncClient]:
    async with surface.client() as client:
        yield client
