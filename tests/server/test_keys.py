"""Keys: hashed at rest, shown once, over at once when revoked or expired."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from server.caller import Caller, Permission
from server.keys import PREFIX, KeyRing, Secret
from server.store import open_store


class Clock:
    """Wall time that only the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hearth.db"


@pytest.fixture
def keys(path: Path, clock: Clock) -> Iterator[KeyRing]:
    ring = KeyRing(open_store(f"sqlite:///{path}"), clock, refresh_gap_s=0)
    yield ring
    ring.close()


@pytest.fixture
def elsewhere(path: Path, keys: KeyRing, clock: Clock) -> Iterator[KeyRing]:
    """The keys as another process of the same store has them."""
    ring = KeyRing(open_store(f"sqlite:///{path}"), clock)
    yield ring
    ring.close()


def test_new_key_is_accepted_with_all_it_carries(keys: KeyRing) -> None:
    new = keys.create("mine", [Permission.MODELS_USE], ["fake/echo"])

    assert keys.verify(new.secret.reveal()) == Caller(
        key_id=new.record.id,
        name="mine",
        permissions=frozenset({Permission.MODELS_USE}),
        models=frozenset({"fake/echo"}),
    )


def test_key_has_256_random_bits_behind_its_prefix(keys: KeyRing) -> None:
    secrets = {keys.create("n", []).secret.reveal() for _ in range(5)}

    assert len(secrets) == 5
    assert all(secret.startswith(PREFIX) and len(secret) >= len(PREFIX) + 43 for secret in secrets)


def test_only_the_digest_is_at_rest(keys: KeyRing, path: Path) -> None:
    secret = keys.create("n", []).secret.reveal()

    at_rest = b"".join(file.read_bytes() for file in path.parent.glob("hearth.db*"))

    assert secret.encode() not in at_rest
    assert secret.removeprefix(PREFIX).encode() not in at_rest


def test_secret_does_not_print() -> None:
    secret = Secret("sgk_x")

    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"


def test_key_never_shows_in_logs_or_exceptions(keys: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
    """A canary: every event of the life of a key, at the most verbose level, also SQLAlchemy's."""
    caplog.set_level(logging.DEBUG)
    new = keys.create("n", [])
    secret = new.secret.reveal()
    keys.verify(secret)
    keys.flush_last_used()
    keys.revoke(new.record.id)
    keys.verify(secret)

    assert secret.removeprefix(PREFIX) not in caplog.text + repr(new) + repr(keys.list())


def test_failing_store_raises_without_the_values_of_the_row(keys: KeyRing) -> None:
    with keys._store.transaction() as connection:
        connection.execute(text("DROP TABLE api_keys"))

    with pytest.raises(Exception, match="no such table") as caught:
        keys.create("canary-name", [])

    assert "canary-name" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "sgk_", "sgk_wrong", "\ud800", "é" * 1000])
def test_wrong_key_is_nobody(keys: KeyRing, wrong: str) -> None:
    keys.create("n", [])

    assert keys.verify(wrong) is None


def test_revoked_key_fails_at_once(keys: KeyRing) -> None:
    new = keys.create("n", [])

    assert keys.revoke(new.record.id)

    assert keys.verify(new.secret.reveal()) is None
    assert keys.list() == []
    assert keys.list(include_revoked=True)[0].revoked_at is not None


def test_revoking_twice_or_nothing_says_so(keys: KeyRing) -> None:
    new = keys.create("n", [])
    keys.revoke(new.record.id)

    assert not keys.revoke(new.record.id)
    assert not keys.revoke("apikey_unknown")


def test_key_ends_when_it_expires(keys: KeyRing, clock: Clock) -> None:
    new = keys.create("n", [], expires_at=clock.now + timedelta(hours=1))

    clock.now += timedelta(minutes=59)
    assert keys.verify(new.secret.reveal()) is not None
    assert keys.has_usable()
    clock.now += timedelta(minutes=1)
    assert keys.verify(new.secret.reveal()) is None
    assert not keys.has_usable()


async def test_key_made_by_another_process_works_at_once(keys: KeyRing, elsewhere: KeyRing) -> None:
    new = elsewhere.create("n", [])

    assert keys.verify(new.secret.reveal()) is None
    assert await keys.verify_fresh(new.secret.reveal()) is not None


async def test_key_revoked_by_another_process_fails_after_the_next_reading(
    keys: KeyRing, elsewhere: KeyRing
) -> None:
    new = keys.create("n", [])
    elsewhere.revoke(new.record.id)

    keys.refresh()

    assert keys.verify(new.secret.reveal()) is None


async def test_many_wrong_keys_share_one_reading(keys: KeyRing) -> None:
    """A flood of unknown keys must not become a flood of queries."""
    before = keys._installed

    await asyncio.gather(*(keys.verify_fresh(f"sgk_{number}") for number in range(500)))

    assert keys._installed - before == 1


async def test_unreadable_store_leaves_known_keys_working(
    keys: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    new = keys.create("n", [])
    with keys._store.transaction() as connection:
        connection.execute(text("DROP TABLE api_keys"))

    assert await keys.verify_fresh("sgk_unknown") is None
    assert keys.verify(new.secret.reveal()) is not None


def test_slow_reading_does_not_undo_a_revocation(keys: KeyRing) -> None:
    """A reading begun before a revocation and ended after it is thrown away."""
    new = keys.create("n", [])
    stale_number, stale_rows = keys._begin_reading()
    keys.revoke(new.record.id)

    keys._install(stale_number, stale_rows)

    assert keys.verify(new.secret.reveal()) is None


def test_last_use_is_written_aside(keys: KeyRing, clock: Clock) -> None:
    new = keys.create("n", [])
    keys.verify(new.secret.reveal())
    assert keys.list()[0].last_used_at is None

    keys.flush_last_used()

    assert keys.list()[0].last_used_at == clock.now


def test_permission_of_a_newer_server_is_ignored(keys: KeyRing) -> None:
    new = keys.create("n", [Permission.MODELS_LIST])
    with keys._store.transaction() as connection:
        connection.execute(text("""UPDATE api_keys SET permissions = '["models:list", "moon:visit"]'"""))

    keys.refresh()

    caller = keys.verify(new.secret.reveal())
    assert caller is not None
    assert caller.permissions == {Permission.MODELS_LIST}
