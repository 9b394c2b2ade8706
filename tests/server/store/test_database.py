"""Writes that share commits: grouped, each with its own failure, and what callers get when the store fails."""

import asyncio
import os
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import IntegrityError

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.store import Store, open_store
from server.store.database import MAX_GROUP, MAX_WAITING, Database
from server.store.schema import idempotency_keys as rows
from tests.fakes.postgresql import Cluster


def add(key: str, answer: bytes = b"") -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        values = {"owner": "o", "key": key, "holder": "h", "answer": answer}
        connection.execute(insert(rows).values(values | {"created_at": text("CURRENT_TIMESTAMP")}))
        return key

    return work


def keys(connection: Connection) -> set[str]:
    return set(connection.execute(select(rows.c.key)).scalars())


async def code_of(write: asyncio.Task[str]) -> ErrorCode:
    with pytest.raises(ServiceError) as caught:
        await write
    return caught.value.code


class Plug:
    """A write that goes on when told, so that others gather behind it."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, connection: Connection) -> str:
        self.has_begun.set()
        assert self.go_on.wait(10)
        return "plug"


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def plugged(database: Database) -> tuple[Plug, asyncio.Task[str]]:
    plug = Plug()
    task = asyncio.create_task(database.write(plug))
    await turns()
    await asyncio.to_thread(plug.has_begun.wait, 10)
    return plug, task


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(open_store(store_url)) as opened:
        yield opened


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Database]:
    made = Database(store)
    yield made
    made.close()


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Database]:
    """On SQLite, waiting 50 ms for a lock instead of five seconds."""
    with closing(open_store(f"sqlite:///{tmp_path / 'hearth.db'}")) as store:
        store.engine.dispose()
        event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 50"))
        with store.reading() as connection:  # connecting itself waits for locks for five seconds
            keys(connection)
        made = Database(store)
        yield made
        made.close()


async def test_writes_that_come_during_a_commit_share_the_next(database: Database) -> None:
    plug, first = await plugged(database)
    others = [asyncio.create_task(database.write(add(f"k{number}"))) for number in range(64)]
    await turns()

    plug.go_on.set()
    told = await asyncio.gather(first, *others)

    assert told == ["plug", *(f"k{number}" for number in range(64))]
    assert database.num_commits == 2
    assert await database.read(keys) == {f"k{number}" for number in range(64)}


async def test_more_than_a_group_is_all_carried_out(database: Database) -> None:
    number = MAX_GROUP * 2 + 1

    told = await asyncio.gather(*(database.write(add(f"k{each}")) for each in range(number)))

    assert len(told) == number
    assert len(await database.read(keys)) == number
    assert database.num_commits == 3


async def test_failing_write_harms_no_other(database: Database) -> None:
    await database.write(add("taken"))

    def half_done(connection: Connection) -> str:
        add("half")(connection)
        raise ServiceError(ErrorCode.CONFLICT, "no")

    def broken(connection: Connection) -> str:
        add("broken")(connection)
        raise KeyError("a bug")

    def misspelt(connection: Connection) -> str:
        add("misspelt")(connection)
        connection.execute(text("SELECT nothing FROM nowhere"))
        return "unreachable"

    writes = (add("a"), add("taken"), half_done, broken, misspelt, add("b"))
    told = await asyncio.gather(*map(database.write, writes), return_exceptions=True)

    assert [told[0], told[5]] == ["a", "b"]
    assert [type(error) for error in told[1:5]] == [IntegrityError, ServiceError, KeyError, ServiceError]
    assert await database.read(keys) == {"taken", "a", "b"}
    assert database.num_commits == 2


async def test_failing_write_on_its_own_is_rolled_back(database: Database) -> None:
    def half_done(connection: Connection) -> str:
        add("half")(connection)
        raise ServiceError(ErrorCode.CONFLICT, "no")

    code = await code_of(asyncio.create_task(database.write(half_done)))

    assert (code, await database.read(keys)) == (ErrorCode.CONFLICT, set())


async def test_caller_that_leaves_before_its_write_began_leaves_nothing(database: Database) -> None:
    plug, first = await plugged(database)
    leaving = asyncio.create_task(database.write(add("left")))
    staying = asyncio.create_task(database.write(add("stayed")))
    await turns()

    leaving.cancel()
    await turns()
    plug.go_on.set()
    await asyncio.gather(first, staying)

    assert leaving.cancelled()
    assert await database.read(keys) == {"stayed"}


async def test_caller_that_leaves_later_harms_no_other(database: Database) -> None:
    plug, first = await plugged(database)

    first.cancel()
    await turns()
    plug.go_on.set()

    assert await database.write(add("next")) == "next"
    assert first.cancelled()


async def test_close_carries_out_what_waits_and_refuses_the_rest(store: Store) -> None:
    database = Database(store)
    plug, first = await plugged(database)
    waiting = asyncio.create_task(database.write(add("waited")))
    await turns()

    closing_it = asyncio.create_task(asyncio.to_thread(database.close))
    plug.go_on.set()
    await closing_it

    assert [await first, await waiting] == ["plug", "waited"]
    late = asyncio.create_task(database.write(add("late")))
    assert await code_of(late) == ErrorCode.SHUTTING_DOWN
    with pytest.raises(ServiceError, match="shutting down"):
        await database.read(keys)
    with store.reading() as connection:
        assert keys(connection) == {"waited"}


async def test_work_between_commits_sees_no_half_written_group(database: Database) -> None:
    plug, first = await plugged(database)

    def count(store: Store) -> int:
        with store.reading() as connection:
            return len(keys(connection))

    counting = asyncio.create_task(database.between_commits(count))
    await turns()
    behind = asyncio.create_task(database.write(add("behind")))
    await turns()
    plug.go_on.set()

    assert (await first, await counting, await behind) == ("plug", 0, "behind")


async def test_locked_store_is_unavailable_and_comes_back(impatient: Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "hearth.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        codes = [await code_of(asyncio.create_task(impatient.write(add("a"))))]
        with pytest.raises(ServiceError) as caught:
            await impatient.read(keys)
        codes.append(caught.value.code)
        other.execute("ROLLBACK")

    assert codes == [ErrorCode.STORAGE_UNAVAILABLE] * 2
    assert await impatient.write(add("a")) == "a"


async def test_stalled_store_does_not_block_the_event_loop(tmp_path: Path) -> None:
    """The lock is given back by the loop itself: were it blocked, the write would fail after five seconds."""
    with (
        closing(open_store(f"sqlite:///{tmp_path / 'hearth.db'}")) as store,
        closing(Database(store)) as database,
        closing(sqlite3.connect(tmp_path / "hearth.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        write = asyncio.create_task(database.write(add("a")))
        reads = [asyncio.create_task(database.read(keys)) for _ in range(20)]
        await turns(100)
        is_waiting = not write.done() and not any(read.done() for read in reads)
        elsewhere = await asyncio.to_thread(lambda: "free")  # the loop's own threads are not taken
        other.execute("ROLLBACK")

        assert (is_waiting, elsewhere, await write) == (True, "free", "a")
        await asyncio.gather(*reads)


async def test_caller_waits_for_a_silent_store_only_so_long_and_leaves_nothing(store: Store) -> None:
    with closing(Database(store, read_timeout_s=0.1, write_timeout_s=0.1)) as database:
        plug, first = await plugged(database)
        second = asyncio.create_task(database.write(add("second")))
        codes = [await code_of(first), await code_of(second)]

        plug.go_on.set()

        assert codes == [ErrorCode.STORAGE_UNAVAILABLE] * 2
    with store.reading() as connection:
        assert keys(connection) == set()


async def test_writes_that_wait_are_bounded(database: Database) -> None:
    plug, first = await plugged(database)
    waiting = [asyncio.create_task(database.write(lambda _: "waited")) for _ in range(MAX_WAITING)]
    await turns()

    code = await code_of(asyncio.create_task(database.write(add("one too many"))))
    plug.go_on.set()
    told = await asyncio.gather(first, *waiting)

    assert code == ErrorCode.STORAGE_UNAVAILABLE
    assert (told.count("waited"), await database.read(keys)) == (MAX_WAITING, set())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """512 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_full_disk_loses_nothing_and_goes_on_with_room(tiny_disk: Path) -> None:
    path = tiny_disk / "hearth.db"
    with closing(open_store(f"sqlite:///{path}")) as store, closing(Database(store)) as database:
        ballast = tiny_disk / "ballast"
        ballast.write_bytes(bytes(128 * 1024))
        written: set[str] = set()
        code = None
        while code is None:
            key = f"k{len(written)}"
            try:
                written.add(await database.write(add(key, bytes(4096))))
            except ServiceError as error:
                code = error.code
        group = [database.write(add(f"g{number}", bytes(4096))) for number in range(3)]
        refused = await asyncio.gather(*group, return_exceptions=True)
        readable = await database.read(keys)
        open_store(f"sqlite:///{path}").close()  # a server could also start

        ballast.unlink()
        written.add(await database.write(add("after", bytes(4096))))
        integrity = await database.read(lambda c: c.execute(text("PRAGMA integrity_check")).scalar())
        found = await database.read(keys)

    assert code == ErrorCode.STORAGE_FULL
    assert {error.code for error in refused if isinstance(error, ServiceError)} == {ErrorCode.STORAGE_FULL}
    assert readable == written - {"after"}
    assert (found, integrity) == (written, "ok")


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Like `cluster`, but for one test, which may stop it."""
    if not (made := Cluster.if_installed()):
        pytest.skip("no PostgreSQL in /usr/lib/postgresql")
    yield made
    made.remove()


async def test_write_survives_a_crash_of_postgresql_before_its_commit(own_cluster: Cluster) -> None:
    with closing(open_store(own_cluster.url())) as store, closing(Database(store)) as database:
        runs = []

        def crashes_once(connection: Connection) -> str:
            add("a")(connection)
            runs.append(1)
            if len(runs) == 1:
                own_cluster.stop()
                own_cluster.start()
            return add("b")(connection)

        told = await database.write(crashes_once)

        assert (told, len(runs), await database.read(keys)) == ("b", 2, {"a", "b"})


async def test_stopped_postgresql_is_unavailable_and_comes_back_by_itself(own_cluster: Cluster) -> None:
    with closing(open_store(own_cluster.url())) as store, closing(Database(store)) as database:
        await database.write(add("before"))

        def stops(connection: Connection) -> str:
            add("a")(connection)
            own_cluster.stop()
            return add("b")(connection)

        codes = [await code_of(asyncio.create_task(database.write(stops)))]
        codes.append(await code_of(asyncio.create_task(database.write(add("c")))))
        with pytest.raises(ServiceError) as caught:
            await database.read(keys)
        codes.append(caught.value.code)
        own_cluster.start()

        assert codes == [ErrorCode.STORAGE_UNAVAILABLE] * 3
        assert await database.write(add("d")) == "d"
        assert await database.read(keys) == {"before", "d"}


async def test_commit_of_unknown_end_is_not_repeated(cluster: Cluster) -> None:
    """A trigger that is deferred to the commit cuts the connection there."""
    with closing(open_store(cluster.new_database())) as store, closing(Database(store)) as database:
        with store.transaction() as connection:
            connection.execute(
                text(
                    "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$"
                    " BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
                )
            )
            connection.execute(
                text(
                    "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON idempotency_keys"
                    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()"
                )
            )
        runs = []

        def work(connection: Connection) -> str:
            runs.append(1)
            return add("a")(connection)

        code = await code_of(asyncio.create_task(database.write(work)))

        assert (code, len(runs)) == (ErrorCode.STORAGE_UNAVAILABLE, 1)
        assert await database.read(keys) == set()
