"""What may be fetched for a client: https from named hosts at public addresses, bounded, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.remote import Lookup, RemoteFile, RemoteFiles, is_global

PUBLIC = "93.184.215.14"
URL = "https://images.example.org/cat.png"


def resolving(*addresses: str) -> Lookup:
    async def look_up(host: str, port: int) -> list[str]:
        return list(addresses)

    return look_up


class Remote:
    """The other side: remembers what it was asked."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answer()


def png(content: bytes = b"png") -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "Image/PNG; q=1"}, content=content)


def files(remote: Remote, lookup: Lookup | None = None) -> RemoteFiles:
    return RemoteFiles(
        ["Images.example.org"],
        max_bytes=100,
        timeout_s=0.2,
        lookup=lookup or resolving(PUBLIC),
        transport=httpx.MockTransport(remote),
    )


async def refused(fetching: RemoteFiles, url: str = URL) -> str:
    with pytest.raises(ServiceError) as caught:
        await fetching.fetch(url, "field")
    assert caught.value.details[0].field == "field"
    return caught.value.details[0].message


async def test_file_is_fetched_from_the_address_that_was_checked() -> None:
    remote = Remote(png)

    file = await files(remote).fetch(URL, "field")

    assert file == RemoteFile("image/png", b"png")
    (request,) = remote.asked
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "images.example.org"
    assert request.extensions["sni_hostname"] == "images.example.org"


@pytest.mark.parametrize(
    "url",
    [
        "http://images.example.org/cat.png",
        "ftp://images.example.org/cat.png",
        "file:///etc/passwd",
        "https://user:secret@images.example.org/cat.png",
        "https://other.example.org/cat.png",
        "https://images.example.org.evil.example/cat.png",
        "https://images.example.org\\@evil.example/cat.png",
        "https://evil.example\\@images.example.org/cat.png",
        "https://evil.example#@images.example.org/cat.png",
        "https://images.example.org:99999/cat.png",
        "https://[::1]/cat.png",
        "https://127.0.0.1/cat.png",
        "https://",
        "//images.example.org/cat.png",
    ],
)
async def test_other_urls_are_refused_without_asking_anybody(url: str) -> None:
    remote = Remote(png)

    await refused(files(remote), url)

    assert remote.asked == []


@pytest.mark.parametrize(
    "addresses",
    [(), ("127.0.0.1",), ("10.0.0.1",), ("169.254.169.254",), (PUBLIC, "192.168.0.1"), ("::ffff:127.0.0.1",)],
)
async def test_host_with_an_address_that_is_not_public_is_refused(addresses: tuple[str, ...]) -> None:
    remote = Remote(png)

    await refused(files(remote, resolving(*addresses)))

    assert remote.asked == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (PUBLIC, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("2001:0:53aa:64c:0:fffe:f5ff:fffe", False),
    ],
)
def test_only_public_addresses_are_global(address: str, expected: bool) -> None:
    assert is_global(address) is expected


async def test_redirect_is_not_followed() -> None:
    remote = Remote(lambda: httpx.Response(302, headers={"Location": "https://127.0.0.1/"}))

    assert await refused(files(remote)) == "could not be fetched"
    assert len(remote.asked) == 1


async def test_too_much_is_cut_off() -> None:
    assert "more than 100 bytes" in await refused(files(Remote(lambda: png(b"x" * 101))))


async def test_body_that_does_not_end_is_given_up() -> None:
    async def stall() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    assert (
        await refused(files(Remote(lambda: httpx.Response(200, content=stall())))) == "could not be fetched"
    )


async def test_large_file_goes_to_its_sink_in_pieces_under_a_limit_of_its_own() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 1000

    seen: list[bytes] = []

    async def keep(piece: bytes) -> None:
        seen.append(piece)

    remote = files(Remote(lambda: httpx.Response(200, content=pieces())))
    media_type = await remote.fetch_into(URL, "field", keep, max_bytes=50_000, timeout_s=5)

    assert (media_type, sum(map(len, seen)), len(seen) > 1) == ("", 50_000, True)
    with pytest.raises(ServiceError, match="more than 49999 bytes"):
        await remote.fetch_into(URL, "field", keep, max_bytes=49_999, timeout_s=5)


async def test_what_the_sink_refuses_is_told_as_it_is() -> None:
    async def refuse(piece: bytes) -> None:
        raise ServiceError(ErrorCode.STORAGE_FULL, "full")

    with pytest.raises(ServiceError, match="full") as caught:
        await files(Remote(png)).fetch_into(URL, "field", refuse, max_bytes=99, timeout_s=5)

    assert caught.value.code is ErrorCode.STORAGE_FULL


@pytest.mark.parametrize("url", ["http://images.example.org/in.jsonl", "https://other.example.org/in.jsonl"])
async def test_streaming_checks_the_url_too(url: str) -> None:
    remote = Remote(png)

    async def keep(piece: bytes) -> None:
        raise AssertionError("nothing was to come")

    with pytest.raises(ServiceError):
        await files(remote).fetch_into(url, "field", keep, max_bytes=99, timeout_s=5)

    assert remote.asked == []


async def test_nothing_is_on_without_hosts() -> None:
    assert not RemoteFiles((), max_bytes=1).is_on
