"""Several servers on one PostgreSQL: a lease that is renewed is respected, one that ran out is taken over."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from server.batch import line_tables, tables
from server.batch.records import Batch
from server.batch.states import Outcome
from server.store import Store, open_store
from tests.fakes.postgresql import Cluster
from tests.server.batch.stages import NOW, batch, line

LEASE_S = 10.0
_T = TypeVar("_T")


@pytest.fixture
def store(cluster: Cluster) -> Iterator[Store]:
    with closing(open_store(cluster.new_database())) as opened:
        yield opened


def do(store: Store, work: Callable[[Connection], _T]) -> _T:
    with store.transaction() as connection:
        return work(connection)


def take(store: Store, runner: str) -> list[str]:
    return do(store, lambda c: tables.take_over(c, runner, lease_s=LEASE_S, now=NOW))


def found(store: Store) -> Batch:
    batch_found = do(store, lambda c: tables.find_batch(c, "batch_a"))
    assert batch_found is not None
    return batch_found


def run_out(store: Store) -> None:
    """As if the holder had not renewed for long."""
    late = "UPDATE batches SET lease_until = clock_timestamp() - interval '1 second'"
    do(store, lambda c: c.execute(text(late)))


def test_a_lease_is_respected_while_it_lasts(store: Store) -> None:
    do(store, lambda c: tables.insert_batch(c, batch()))

    assert take(store, "one") == ["batch_a"]
    assert take(store, "two") == []
    assert do(store, lambda c: tables.count_free(c, "two", lease_s=LEASE_S)) == 0


def test_a_lease_that_ran_out_is_taken_over_with_the_next_epoch(store: Store) -> None:
    do(store, lambda c: tables.insert_batch(c, batch()))
    take(store, "one")
    first = found(store)
    run_out(store)

    assert take(store, "two") == ["batch_a"]
    assert found(store).epoch == first.epoch + 1
    assert do(store, lambda c: tables.renew(c, "one", lease_s=LEASE_S)) == {}


def test_renewing_keeps_a_lease(store: Store) -> None:
    do(store, lambda c: tables.insert_batch(c, batch()))
    take(store, "one")
    run_out(store)

    assert list(do(store, lambda c: tables.renew(c, "one", lease_s=LEASE_S))) == ["batch_a"]
    assert take(store, "two") == []


def test_two_servers_that_look_at_once_share_what_is_free(store: Store) -> None:
    for name in ("batch_a", "batch_b"):
        do(store, lambda c, name=name: tables.insert_batch(c, batch(name)))

    with store.transaction() as first, store.transaction() as second:
        one = tables.take_over(first, "one", lease_s=LEASE_S, now=NOW)
        two = tables.take_over(second, "two", lease_s=LEASE_S, now=NOW)

    assert sorted(one) == ["batch_a", "batch_b"]
    assert two == []


def test_a_server_that_stood_still_records_nothing_after_the_takeover(store: Store) -> None:
    do(store, lambda c: tables.insert_batch(c, batch()))
    take(store, "one")
    row = {
        "batch_id": "batch_a",
        "line_no": 1,
        "custom_id": "c1",
        "model": "m",
        "position": 0,
        "start": 0,
        "size": 1,
    }
    do(store, lambda c: line_tables.insert_lines(c, [row]))
    old = found(store)
    do(store, lambda c: tables.begin(c, old, total=1, now=NOW))
    assert do(store, lambda c: line_tables.claim(c, old, line(1)))
    run_out(store)
    take(store, "two")
    new = found(store)

    assert do(store, lambda c: line_tables.claim(c, new, line(1, attempt=1)))
    assert not do(store, lambda c: line_tables.record(c, line(1), 1, Outcome.COMPLETED, b"late"))
    assert not do(store, lambda c: line_tables.claim(c, old, line(1, attempt=2)))
    assert not do(store, lambda c: tables.begin_finalizing(c, old, NOW))
    assert do(store, lambda c: line_tables.record(c, line(1), 2, Outcome.COMPLETED, b"mine"))
