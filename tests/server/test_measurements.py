"""What was measured counts for one configuration, also when that changes while the server runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.measurements import Measurements
from server.store import Store, open_store
from server.store.database import Database
from tests.fakes.specs import make_spec

BEFORE, AFTER = make_spec(options={"ballast_mib": 1}), make_spec(options={"ballast_mib": 2})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/hearth.db")
    yield opened
    opened.close()


async def test_another_configuration_starts_without_a_measurement(store: Store) -> None:
    measurements = Measurements(store, [BEFORE])
    measurements.tell("be_a", 1000)

    before = (measurements.known_of(BEFORE), measurements.known_of(AFTER))
    measurements.replace(AFTER)

    assert before == (1000, None)
    assert (measurements.known_of(BEFORE), measurements.known_of(AFTER)) == (None, None)


async def test_the_same_configuration_keeps_it(store: Store) -> None:
    measurements = Measurements(store, [BEFORE])
    measurements.tell("be_a", 1000)

    measurements.replace(make_spec(options={"ballast_mib": 1}, priority=5))

    assert measurements.known_of(BEFORE) == 1000


async def test_what_is_stored_is_of_the_configuration_that_is_served(store: Store) -> None:
    measurements = Measurements(store, [BEFORE])
    measurements.tell("be_a", 1000)
    measurements.replace(AFTER)
    measurements.tell("be_a", 400)
    database = Database(store)
    try:
        await measurements.store(database)
    finally:
        database.close()

    assert Measurements(store, [BEFORE]).known == {}
    assert Measurements(store, [AFTER]).known == {"be_a": 400}
