"""Load times outlive the server, and count only for the configuration that they were seen with."""

import msgspec

from server.deps import Services
from server.load_times import LoadTimes
from tests.fakes.specs import make_spec

SPEC = make_spec("be_a")


async def test_the_last_time_is_kept(services: Services) -> None:
    times = LoadTimes(services.keys.store)
    times.tell(SPEC, 9.0)
    times.tell(SPEC, 7.5)

    await times.store(services.database)

    assert LoadTimes(services.keys.store).of([SPEC]) == {"be_a": 7.5}


async def test_another_configuration_has_no_time(services: Services) -> None:
    times = LoadTimes(services.keys.store)
    times.tell(SPEC, 9.0)
    await times.store(services.database)
    changed = msgspec.structs.replace(SPEC, context_window=64)

    assert LoadTimes(services.keys.store).of([changed]) == {}


async def test_nothing_new_is_not_written(services: Services) -> None:
    times = LoadTimes(services.keys.store)

    await times.store(services.database)

    assert times.of([SPEC]) == {}
