"""Puts the pictures of a running request into the media store before they are told. Knows no dialect."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from engines.contract.image import Picture
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.media import MediaStore
from server.streaming import Running

_PNG = "image/png"


@asynccontextmanager
async def publishing(
    call: AbstractAsyncContextManager[Running],
    media: MediaStore,
    base_url: str,
    links: dict[int, str],
    *,
    ttl_s: float | None = None,
) -> AsyncIterator[Running]:
    """The same call; `links` gets the address of each picture before the picture comes out of it.

    `ttl_s` is the life of the links, by default the store's.
    """
    async with call as running:
        yield _PublishingCall(running, media, base_url, links, ttl_s)


class _PublishingCall:
    def __init__(
        self, call: Running, media: MediaStore, base_url: str, links: dict[int, str], ttl_s: float | None
    ) -> None:
        self._call = call
        self._media = media
        self._base_url = base_url
        self._links = links
        self._ttl_s = ttl_s

    @property
    def model(self) -> str:
        return self._call.model

    @property
    def backend_id(self) -> str:
        return self._call.backend_id

    @property
    def can_stream(self) -> bool:
        return self._call.can_stream

    @property
    def usage(self) -> Usage:
        return self._call.usage

    async def next_batch(self) -> list[Item] | None:
        """Raises what the call raises, and INTERNAL_ERROR if a picture cannot be stored."""
        batch = await self._call.next_batch()
        for item in batch or ():
            if isinstance(item, Picture):
                path = await self._media.publish(item.png, _PNG, self._ttl_s)
                self._links[item.index] = self._base_url + path
        return batch
