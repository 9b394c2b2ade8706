"""Published files: found until their link expires, dropped afterwards, also over a restart."""

from pathlib import Path

import pytest

from server.media import MediaStore, open_media
from server.media.folder import MediaFolder
from server.media.store import PERIOD_S
from server.media.token import Signer, load_key
from server.settings import Settings
from tests.fakes.fake_media import Clock, MediaMemory

TTL_S = 3600
PNG = "image/png"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory() -> MediaMemory:
    return MediaMemory()


@pytest.fixture
def store(memory: MediaMemory, clock: Clock) -> MediaStore:
    return MediaStore(memory, Signer(b"key"), ttl_s=TTL_S, now=clock)


def token_of(path: str) -> str:
    return path.removeprefix("/v1/media/")


async def test_file_is_found_until_its_link_expires(store: MediaStore, clock: Clock) -> None:
    token = token_of(await store.publish(b"picture", PNG))

    clock.now += TTL_S - 1
    found = await store.find(token)
    clock.now += 1
    late = await store.find(token)

    assert found is not None
    assert (found.content_type, found.size_bytes) == (PNG, 7)
    assert b"".join([piece async for piece in store.read(found, 2, 5)]) == b"ctu"
    assert late is None


async def test_longer_life_can_be_asked_for(store: MediaStore, clock: Clock) -> None:
    token = token_of(await store.publish(b"picture", PNG, ttl_s=30 * 86400))

    clock.now += 29 * 86400
    await store.sweep()

    assert await store.find(token) is not None


async def test_file_lies_as_long_as_any_link_is_good(
    store: MediaStore, memory: MediaMemory, clock: Clock
) -> None:
    first = token_of(await store.publish(b"picture", PNG))
    clock.now += TTL_S / 2
    second = token_of(await store.publish(b"picture", PNG))

    clock.now += TTL_S / 2 + PERIOD_S
    await store.sweep()

    assert await store.find(first) is None
    assert await store.find(second) is not None
    clock.now += TTL_S
    await store.sweep()
    assert memory.files == {}


async def test_sweep_drops_nothing_that_has_a_link(store: MediaStore, clock: Clock) -> None:
    tokens = []
    for _ in range(20):
        tokens.append(token_of(await store.publish(b"picture", PNG)))
        clock.now += PERIOD_S / 7

    for _ in range(400):
        clock.now += 11
        await store.sweep()
        claims = [store._signer.read(token) for token in tokens]
        alive = [
            token
            for token, claim in zip(tokens, claims, strict=True)
            if claim and claim.expires_at > clock.now
        ]
        assert [await store.find(token) is not None for token in alive] == [True] * len(alive)


async def test_content_that_lies_twice_is_one_file(store: MediaStore, memory: MediaMemory) -> None:
    for content in (b"picture", b"picture", b"other"):
        await store.publish(content, PNG)

    assert len(memory.files) == 2


async def test_links_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    token = token_of(await open_media(settings).publish(b"picture", PNG))

    found = await open_media(settings).find(token)

    assert found is not None
    assert found.size_bytes == 7


async def test_links_of_another_server_are_not_ours(tmp_path: Path, clock: Clock) -> None:
    """Even where the same file lies: the key is the data directory's."""
    folder = MediaFolder(tmp_path / "media")
    one, other = (
        MediaStore(folder, Signer(load_key(tmp_path / f"{name}.key")), ttl_s=TTL_S, now=clock)
        for name in "ab"
    )

    token = token_of(await one.publish(b"picture", PNG))

    assert await other.find(token) is None
