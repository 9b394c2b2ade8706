"""Media in S3, against a server that speaks it. Needs `pip install obstore 'moto[server]'`, else skipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.errors import ServiceError
from server.media import MediaStore, check_media
from server.media.bucket import MediaBucket
from server.media.storage import Name
from server.media.store import PERIOD_S
from server.media.token import Signer
from server.settings import Settings
from tests.fakes.fake_media import Clock

pytest.importorskip("obstore")
moto = pytest.importorskip("moto.server")


@pytest.fixture
def url() -> Iterator[str]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/pictures", trust_env=False).raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


def bucket_at(url: str, name: str = "pictures") -> MediaBucket:
    return MediaBucket(
        Settings(
            media_s3_bucket=name,
            media_s3_url=url,
            media_s3_access_key_id="id",
            media_s3_secret_access_key="secret",
        )
    )


async def test_file_is_put_found_read_and_swept(url: str) -> None:
    clock, bucket, content = Clock(), bucket_at(url), os.urandom(700_000)
    store = MediaStore(bucket, Signer(b"key"), ttl_s=3600, now=clock)

    token = (await store.publish(content, "image/png")).rpartition("/")[2]

    found = await store.find(token)
    assert found is not None
    assert b"".join([piece async for piece in store.read(found, 5, 300_000)]) == content[5:300_000]
    assert await store.sweep() == 0
    clock.now += 3600 + PERIOD_S
    assert await store.find(token) is None
    assert await store.sweep() == 1
    assert await bucket.size_bytes(found.name) is None


async def test_failures_are_told_in_our_words(url: str) -> None:
    bucket = bucket_at(url, "no-such-bucket")

    with pytest.raises(ServiceError, match="the server could not store the file"):
        await bucket.put(Name(1, "ab"), b"x")
    assert await bucket.size_bytes(Name(1, "ab")) is None


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, media_s3_bucket="b", media_s3_secret_access_key="very secret")

    assert "very secret" not in repr(settings)
    assert check_media(settings) == []
