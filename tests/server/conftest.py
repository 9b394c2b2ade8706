"""Real services over a store in a temporary folder, and routes over fake ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from server.deps import Services
from tests.fakes.edge import make_services
from tests.fakes.postgresql import Cluster
from tests.fakes.surface import Surface


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path / "data")
    yield made
    made.database.close()
    made.keys.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL for all tests; they share it and use `new_database`."""
    if not (made := Cluster.if_installed()):
        pytest.skip("no PostgreSQL in /usr/lib/postgresql")
    yield made
    made.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that does not exist yet, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hearth.db'}"
    found: Cluster = request.getfixturevalue("cluster")
    return found.new_database()


@pytest.fixture
def surface(tmp_path: Path) -> Surface:
    return Surface(tmp_path)


@pytest.fixture
async def client(surface: Surface) -> AsyncIterator[httpx.AsyncClient]:
    async with surface.client() as client:
        yield client
