"""Media files in S3-compatible storage, by obstore, which is imported only where a bucket is configured.

obstore raises FileNotFoundError and PermissionError where S3 says so, and errors of its own else."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

from server.errors import ServiceError
from server.media.storage import CHUNK_BYTES, Name, failed
from server.settings import Settings
from server.telemetry import log_event

if TYPE_CHECKING:
    from obstore.store import S3Store

_PREFIX = "media"
_RETRY_S = 10


class MediaBucket:
    """A `MediaStorage` of objects `media/<period>/<digest>`. S3 shows an object whole or not at all."""

    def __init__(self, settings: Settings) -> None:
        self._store = _s3_store(settings)

    async def put(self, name: Name, content: bytes) -> None:
        import obstore

        try:
            await obstore.put_async(self._store, _key(name), content)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise _failed("store the file", error) from error

    async def size_bytes(self, name: Name) -> int | None:
        import obstore

        try:
            return int((await obstore.head_async(self._store, _key(name)))["size"])
        except FileNotFoundError:
            return None
        except (obstore.exceptions.BaseError, OSError) as error:
            raise _failed("read the file", error) from error

    async def read(self, name: Name, start: int, end: int) -> AsyncIterator[bytes]:
        import obstore

        try:
            options = {"range": (start, end)}
            found = await obstore.get_async(self._store, _key(name), options=options)
            async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise _failed("read the file", error) from error

    async def sweep(self, first_kept: int) -> int:
        import obstore

        try:
            folders = await obstore.list_with_delimiter_async(self._store, prefix=_PREFIX)
            periods = [folder.rstrip("/").rpartition("/")[2] for folder in folders["common_prefixes"]]
            past = [period for period in periods if period.isdecimal() and int(period) < first_kept]
            for period in past:
                async for objects in obstore.list(self._store, prefix=f"{_PREFIX}/{period}/"):
                    await obstore.delete_async(self._store, [entry["path"] for entry in objects])
        except (obstore.exceptions.BaseError, OSError) as error:
            raise _failed("sweep its media", error) from error
        return len(past)


def _s3_store(settings: Settings) -> "S3Store":
    from obstore.store import S3Store

    secret = settings.media_s3_secret_access_key
    url = settings.media_s3_url
    return S3Store(
        settings.media_s3_bucket,
        endpoint=url,
        region=settings.media_s3_region,
        access_key_id=settings.media_s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        client_options={"allow_http": bool(url and url.startswith("http://")), "timeout": "30s"},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_RETRY_S)},
    )


def _key(name: Name) -> str:
    return f"{_PREFIX}/{name.period}/{name.digest}"


def _failed(what: str, error: Exception) -> ServiceError:
    log_event("media.failed", level=logging.ERROR, exception=error, detail=type(error).__name__)
    return failed(what)
