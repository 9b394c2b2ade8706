"""The one place that fetches what a client's URL names; off unless the operator names hosts (rule R7).

https only, hosts by allow-list, one lookup, every address global, a connection to exactly the address that was checked,
no redirects, no proxies, bounded in bytes and time. What the other side says never reaches a client.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from server.errors import invalid
from server.telemetry import log_event

Lookup = Callable[[str, int], Awaitable[list[str]]]
Sink = Callable[[bytes], Awaitable[None]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RemoteFile(NamedTuple):
    """`media_type` is what the server said, without parameters, in lower case."""

    media_type: str
    content: bytes


class RemoteFiles:
    """Fetches from `hosts` (names in lower case). `lookup` and `transport` are for tests."""

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        max_bytes: int,
        timeout_s: float = 10.0,
        lookup: Lookup | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._lookup = lookup or _look_up
        self._transport = transport

    @property
    def is_on(self) -> bool:
        return bool(self._hosts)

    async def fetch(self, url: str, field: str) -> RemoteFile:
        """What `url` holds. Raises VALIDATION_ERROR about `field`, in our own words."""
        content = bytearray()

        async def keep(piece: bytes) -> None:
            content.extend(piece)

        media_type = await self.fetch_into(
            url, field, keep, max_bytes=self._max_bytes, timeout_s=self._timeout_s
        )
        return RemoteFile(media_type, bytes(content))

    async def fetch_into(self, url: str, field: str, sink: Sink, *, max_bytes: int, timeout_s: float) -> str:
        """Give `sink` what `url` holds, in pieces as they come, and return its media type.

        Raises VALIDATION_ERROR about `field`, in our own words; and what `sink` raises as a ServiceError.
        """
        host, port = self._check(url, field)
        try:
            async with asyncio.timeout(timeout_s):
                address = await self._resolve(host, port, field)
                async with self._open(httpx.URL(url), address) as answer:
                    if answer.status_code != 200:
                        raise invalid(field, "could not be fetched")
                    await _pass_on(answer, field, sink, max_bytes)
                    return _media_type(answer)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            log_event("remote.failed", host=host, kind=type(error).__name__)
            raise invalid(field, "could not be fetched") from None

    def _check(self, url: str, field: str) -> tuple[str, int]:
        """Two parsers must agree on the host, so that no difference between them can be used."""
        try:
            parts, parsed = urlsplit(url), httpx.URL(url)
            port = parts.port or 443
        except (ValueError, httpx.InvalidURL):
            raise invalid(field, "is not a URL") from None
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" or parsed.scheme != "https" or parts.username or parts.password:
            raise invalid(field, "must be an https: URL without a user, or a data: URL")
        if host != parsed.host.lower() or port != (parsed.port or 443) or host not in self._hosts:
            raise invalid(field, "names a host that this server does not fetch from")
        return host, port

    async def _resolve(self, host: str, port: int, field: str) -> str:
        """The first address, if all are global: one private among them is reason enough to refuse."""
        addresses = await self._lookup(host, port)
        if not addresses or not all(map(is_global, addresses)):
            raise invalid(field, "names a host that this server does not fetch from")
        return addresses[0]

    @asynccontextmanager
    async def _open(self, url: httpx.URL, address: str) -> AsyncIterator[httpx.Response]:
        """Connects to `address`, but asks for, and checks the certificate of, the URL's host."""
        pinned = url.copy_with(host=address)
        headers = {"Host": url.netloc.decode(), "Accept": "*/*"}
        transport = self._transport or httpx.AsyncHTTPTransport(trust_env=False)
        async with (
            httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": url.host}) as answer,
        ):
            yield answer


async def _pass_on(answer: httpx.Response, field: str, sink: Sink, max_bytes: int) -> None:
    size_bytes = 0
    async for piece in answer.aiter_bytes():
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise invalid(field, f"holds more than {max_bytes} bytes")
        await sink(piece)


def is_global(address: str) -> bool:
    """Whether `address`, and any IPv4 address wrapped in it, is one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        wrapped = found.ipv4_mapped or found.sixtofour
        if wrapped is None and found in _NAT64:
            wrapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if wrapped is not None:
            found = wrapped
        elif found.teredo is not None:
            return False
    return found.is_global and not found.is_multicast


def _media_type(answer: httpx.Response) -> str:
    told: str = answer.headers.get("content-type", "")
    return told.partition(";")[0].strip().lower()


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]
