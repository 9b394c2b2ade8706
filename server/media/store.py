"""Publishes files for a time and finds them again by token; drops them afterwards. Knows no HTTP."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from server.errors import ServiceError
from server.media.storage import MediaStorage, Name
from server.media.token import PATH_PREFIX, Claim, Signer
from server.telemetry import log_event

PERIOD_S = 600
SWEEP_EVERY_S = 60.0


class Media(NamedTuple):
    """A published file that can be read now."""

    name: Name
    content_type: str
    size_bytes: int


class MediaStore:
    """`ttl_s` is the life of a link unless `publish` is told another; `now` is Unix time."""

    def __init__(
        self, storage: MediaStorage, signer: Signer, *, ttl_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._storage = storage
        self._signer = signer
        self._ttl_s = ttl_s
        self._now = now

    async def publish(self, content: bytes, content_type: str, ttl_s: float | None = None) -> str:
        """The path under which the content can be fetched for `ttl_s`.

        Raises ServiceError: INTERNAL_ERROR, STORAGE_FULL.
        """
        expires_at = int(self._now() + (self._ttl_s if ttl_s is None else ttl_s))
        digest = hashlib.sha256(content).digest()
        await self._storage.put(_name(digest, expires_at), content)
        return PATH_PREFIX + self._signer.sign(Claim(digest, expires_at, content_type))

    async def find(self, token: str) -> Media | None:
        """None for a token that is not ours, has expired, or whose file is gone."""
        claim = self._signer.read(token)
        if claim is None or claim.expires_at <= self._now():
            return None
        name = _name(claim.digest, claim.expires_at)
        size_bytes = await self._storage.size_bytes(name)
        return None if size_bytes is None else Media(name, claim.content_type, size_bytes)

    def read(self, media: Media, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to but not including `end`, in pieces."""
        return self._storage.read(media.name, start, end)

    async def sweep(self) -> int:
        """Drop what nobody has a valid link to any more; how many periods that were."""
        return await self._storage.sweep(int(self._now()) // PERIOD_S)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                if num_periods := await self.sweep():
                    log_event("media.swept", count=num_periods)
            except ServiceError as error:
                log_event("media.unswept", reason=error.message)
            await asyncio.sleep(SWEEP_EVERY_S)


def _name(digest: bytes, expires_at: int) -> Name:
    return Name(expires_at // PERIOD_S, digest.hex())
