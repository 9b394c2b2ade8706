"""One key, one object: what a repeated request gets, and when a key is free again."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, select

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.idempotency import HELD_FOR, KEPT_FOR, Idempotency
from server.store import Store, open_store
from server.store.database import Database
from server.store.schema import api_keys, idempotency_keys
from tests.fakes.fake_media import Clock


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(open_store(store_url)) as opened:
        yield opened


@pytest.fixture
def database(store: Store) -> Iterator[Database]:
    with closing(Database(store)) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def idempotency(database: Database, clock: Clock) -> Idempotency:
    return Idempotency(database, "server_a", clock)


def moment(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock(), UTC)


def make_object(name: str, then: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """A row that stands for what the request makes; `then` is in the same transaction."""

    def work(connection: Connection) -> None:
        values = {"id": name, "digest": name, "name": name, "permissions": []}
        connection.execute(insert(api_keys).values(values | {"created_at": moment(Clock())}))
        then(connection)

    return work


async def objects(database: Database) -> list[str]:
    return await database.read(lambda c: list(c.execute(select(api_keys.c.id)).scalars()))


async def num_keys(database: Database) -> int:
    return await database.read(lambda c: len(c.execute(select(idempotency_keys)).all()))


async def request(
    idempotency: Idempotency,
    database: Database,
    *,
    key: str | None = "k",
    body: str = "body",
    makes: str = "one",
) -> bytes:
    """What a route does."""
    async with idempotency.begin("owner", key) as once:
        if (stored := await once.recall(body)) is not None:
            return stored
        answer = f"made {makes}".encode()
        await database.write(make_object(makes, lambda connection: once.remember(connection, answer)))
        return answer


async def code_of(request: "asyncio.Future[bytes]") -> ErrorCode:
    with pytest.raises(ServiceError) as caught:
        await request
    return caught.value.code


async def test_repeated_request_gets_the_first_answer(idempotency: Idempotency, database: Database) -> None:
    answers = [await request(idempotency, database, makes=name) for name in ("one", "two")]

    assert answers == [b"made one"] * 2
    assert await objects(database) == ["one"]


async def test_other_request_under_the_same_key_is_refused(
    idempotency: Idempotency, database: Database
) -> None:
    await request(idempotency, database)

    with pytest.raises(ServiceError, match="Idempotency-Key: was used") as caught:
        await request(idempotency, database, body="other", makes="two")

    assert caught.value.code == ErrorCode.VALIDATION_ERROR
    assert await objects(database) == ["one"]


async def test_answer_survives_a_restart(idempotency: Idempotency, database: Database, clock: Clock) -> None:
    await request(idempotency, database)

    restarted = Idempotency(database, "server_b", clock)

    assert await request(restarted, database, makes="two") == b"made one"


async def test_keys_of_different_owners_are_different(idempotency: Idempotency, database: Database) -> None:
    await request(idempotency, database)

    async with idempotency.begin("somebody else", "k") as once:
        assert await once.recall("body") is None


async def test_request_without_a_key_is_never_repeated(idempotency: Idempotency, database: Database) -> None:
    for name in ("one", "two"):
        assert await request(idempotency, database, key=None, makes=name) == f"made {name}".encode()

    assert (sorted(await objects(database)), await num_keys(database)) == (["one", "two"], 0)


@pytest.mark.parametrize("key", ["", "a b", "a\n", "\xe9", "x" * 256])
async def test_key_that_is_none_is_refused_by_name(
    idempotency: Idempotency, database: Database, key: str
) -> None:
    with pytest.raises(ServiceError, match="Idempotency-Key: must be") as caught:
        await request(idempotency, database, key=key)

    assert caught.value.code == ErrorCode.VALIDATION_ERROR


async def test_second_request_is_a_conflict_while_the_first_runs(
    idempotency: Idempotency, database: Database, clock: Clock
) -> None:
    elsewhere = Idempotency(database, "server_b", clock)
    async with idempotency.begin("owner", "k") as once:
        await once.recall("body")

        here = await code_of(asyncio.ensure_future(request(idempotency, database)))
        there = None
        if database.is_shared:
            there = await code_of(asyncio.ensure_future(request(elsewhere, database)))

    assert here == ErrorCode.CONFLICT
    assert there == (ErrorCode.CONFLICT if database.is_shared else None)
    assert await request(idempotency, database) == b"made one"


async def test_of_two_servers_at_once_one_makes_the_object(
    store: Store, database: Database, clock: Clock
) -> None:
    if not database.is_shared:
        pytest.skip("a second server is refused")
    with closing(Database(store)) as second:
        servers = [(Idempotency(each, name, clock), each) for name, each in (("a", database), ("b", second))]
        told = await asyncio.gather(
            *(request(*server, makes=name) for server, name in zip(servers, ("one", "two"), strict=True)),
            return_exceptions=True,
        )

    made = await objects(database)
    assert len(made) == 1
    answers = {answer for answer in told if isinstance(answer, bytes)}
    assert answers == {f"made {made[0]}".encode()}
    assert all(error.code == ErrorCode.CONFLICT for error in told if isinstance(error, ServiceError))


async def test_failure_is_not_stored(idempotency: Idempotency, database: Database) -> None:
    def fail(connection: Connection) -> None:
        raise ServiceError(ErrorCode.STORAGE_FULL, "no room")

    async def failing_request() -> None:
        async with idempotency.begin("owner", "k") as once:
            await once.recall("body")
            await database.write(make_object("one", fail))

    with pytest.raises(ServiceError, match="no room"):
        await failing_request()

    assert await num_keys(database) == 0
    assert await request(idempotency, database, body="other", makes="two") == b"made two"


async def test_failure_after_remembering_is_not_stored_either(
    idempotency: Idempotency, database: Database
) -> None:
    with contextlib.suppress(KeyError):
        async with idempotency.begin("owner", "k") as once:
            await once.recall("body")

            def remember_and_fail(connection: Connection) -> None:
                once.remember(connection, b"made one")
                raise KeyError

            await database.write(make_object("one", remember_and_fail))

    assert (await num_keys(database), await objects(database)) == (0, [])


async def test_request_whose_client_leaves_frees_its_key(
    idempotency: Idempotency, database: Database
) -> None:
    has_begun = asyncio.Event()

    async def upload() -> None:
        async with idempotency.begin("owner", "k"):
            has_begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(upload())
    await has_begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await num_keys(database) == 0
    assert await request(idempotency, database) == b"made one"


async def hold(database: Database, holder: str, clock: Clock) -> None:
    """A row as a process leaves it that dies in its request."""
    row = {"owner": "owner", "key": "k", "holder": holder, "created_at": moment(clock)}
    await database.write(lambda connection: connection.execute(insert(idempotency_keys).values(row)).rowcount)


async def test_key_of_a_dead_process_is_free(
    idempotency: Idempotency, database: Database, clock: Clock
) -> None:
    await hold(database, "server_dead", clock)

    if database.is_shared:
        assert await code_of(asyncio.ensure_future(request(idempotency, database))) == ErrorCode.CONFLICT
        clock.now += HELD_FOR.total_seconds() + 1

    assert await request(idempotency, database) == b"made one"


async def test_own_key_that_could_not_be_freed_is_free(
    idempotency: Idempotency, database: Database, clock: Clock
) -> None:
    await hold(database, "server_a", clock)

    assert await request(idempotency, database) == b"made one"


async def test_request_that_lost_its_key_makes_nothing(
    idempotency: Idempotency, database: Database, clock: Clock
) -> None:
    """A stopped process goes on after another took its key over."""
    elsewhere = Idempotency(database, "server_b", clock)
    taken: list[bytes] = []

    async def stopped_request() -> bytes:
        async with idempotency.begin("owner", "k") as once:
            await once.recall("body")
            clock.now += HELD_FOR.total_seconds() + 1
            taken.append(await request(elsewhere, database, makes="two"))
            await database.write(make_object("one", lambda c: once.remember(c, b"made one")))
            return b"made one"

    code = await code_of(asyncio.ensure_future(stopped_request()))

    assert (taken, code) == ([b"made two"], ErrorCode.CONFLICT)
    assert await objects(database) == ["two"]
    assert await request(idempotency, database) == b"made two"


async def test_repeated_requests_need_not_wait_for_each_other(
    idempotency: Idempotency, database: Database
) -> None:
    await request(idempotency, database)

    async with idempotency.begin("owner", "k") as once:
        beside = await request(idempotency, database, makes="two")

        assert (await once.recall("body"), beside) == (b"made one", b"made one")


async def test_answer_is_kept_for_a_day(idempotency: Idempotency, database: Database, clock: Clock) -> None:
    await request(idempotency, database)
    clock.now += KEPT_FOR.total_seconds() - 1
    within = (await idempotency.sweep(), await request(idempotency, database, makes="two"))

    clock.now += 2
    after = await request(idempotency, database, makes="three")

    assert (within, after) == ((0, b"made one"), b"made three")


async def test_sweep_drops_what_is_older_than_a_day(
    idempotency: Idempotency, database: Database, clock: Clock
) -> None:
    await request(idempotency, database)
    clock.now += KEPT_FOR.total_seconds() + 1
    await request(idempotency, database, key="young", makes="two")

    assert (await idempotency.sweep(), await num_keys(database)) == (1, 1)
