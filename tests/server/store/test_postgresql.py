"""The same store and keys on PostgreSQL."""

from sqlalchemy import text

from server.caller import Permission
from server.keys import KeyRing
from server.store import open_store
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
