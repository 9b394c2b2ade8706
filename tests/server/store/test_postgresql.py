"""The same store and keys on PostgreSQL."""

from sqlalchemy import func, select, text

from server.caller import Permission
from server.keys import KeyRing
from server.store import open_store
from server.store.schema import api_keys
from tests.fakes.postgresql import Cluster


def test_keys_live_in_postgresql(cluster: Cluster) -> None:
    url = cluster.new_database()
    keys = KeyRing(open_store(url))
    new = keys.create("one", [Permission.MODELS_USE], ["fake/echo"])
    keys.close()

    elsewhere = KeyRing(open_store(url))
    caller = elsewhere.verify(new.secret.reveal())
    (record,) = elsewhere.list()
    assert elsewhere.revoke(new.record.id)
    after = elsewhere.verify(new.secret.reveal())
    elsewhere.close()

    assert caller is not None
    assert caller.models == frozenset({"fake/echo"})
    assert record.last_used_at is None
    assert record.created_at.tzinfo is not None
    assert after is None


def test_stopped_server_does_not_hold_locks_for_ever(cluster: Cluster) -> None:
    store = open_store(cluster.new_database())

    with store.reading() as connection:
        timeout = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()

    store.close()
    assert timeout == "15s"


def test_a_reading_sees_one_moment_whatever_is_committed_meanwhile(cluster: Cluster) -> None:
    """Or a batch is read while it is `finalizing`, and its lines once they were cleared away after its end."""
    store = open_store(cluster.new_database())
    keys = KeyRing(store)
    count = select(func.count()).select_from(api_keys)

    with store.reading() as connection:
        before = connection.execute(count).scalar_one()
        keys.create("meanwhile", [Permission.MODELS_USE], None)
        after = connection.execute(count).scalar_one()
    with store.reading() as connection:
        later = connection.execute(count).scalar_one()

    keys.close()
    assert (before, after, later) == (0, 0, 1)
