"""Real services over a store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.deps import Services
from tests.fakes.edge import make_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = make_services(tmp_path / "data")
    yield made
    made.keys.close()
