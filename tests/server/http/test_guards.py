"""Messages that no route should see: refused by their head, or while their body comes."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.errors import ServiceError
from server.http.guards import Guards
from server.settings import Settings
from tests.fakes.edge import Answer, body_of, call, forever

SETTINGS = Settings(
    allowed_hosts=("llm.example.org",),
    max_headers=10,
    max_header_bytes=1000,
    max_body_bytes=100,
    body_timeout_s=0.05,
    min_body_rate=1000,
)


class Reader:
    """An application that reads the whole body; a refusal that it meets is its answer."""

    def __init__(self) -> None:
        self.body = b""
        self.was_called = False
        self.refusal: ServiceError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.was_called = True
        try:
            await self._read(receive)
        except ServiceError as error:
            self.refusal = error
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            self.body += message["body"]
            if not message.get("more_body"):
                return


async def send_to(*headers: tuple[str, str], receive: Receive | None = None) -> tuple[Answer, Reader]:
    reader = Reader()
    answer = await call(
        Guards(reader, settings=SETTINGS), "/v1/me", method="POST", headers=headers, receive=receive
    )
    return answer, reader


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:1", "[::1]", "[::1]:8000", "llm.example.org"],
)
async def test_our_own_names_are_served(host: str) -> None:
    answer, _ = await send_to(("Host", host))

    assert answer.status == 204


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.org",
        "localhost.evil.example.org",
        "localhost:8000:8000",
        "localhost/health?x=",
        "user@localhost",
        "localhost:",
        "localhost, localhost",
        "::1",
        "[::1",
        "local host",
    ],
)
async def test_other_hosts_are_refused(host: str) -> None:
    """DNS rebinding: a page of another name must not reach a server on loopback."""
    answer, reader = await send_to(("Host", host))

    assert (answer.status, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert not reader.was_called


async def test_two_hosts_are_refused() -> None:
    answer, _ = await send_to(("Host", "localhost"), ("Host", "localhost"))

    assert answer.status == 400


async def test_no_host_is_refused() -> None:
    reader = Reader()
    answer = Answer()

    async def send(message: Message) -> None:
        answer.messages.append(message)

    scope = {"type": "http", "path": "/v1/me", "headers": [], "state": {}}
    await Guards(reader, settings=SETTINGS)(scope, forever, send)

    assert answer.status == 400
    assert not reader.was_called


@pytest.mark.parametrize(
    "headers",
    [
        [(f"X-{number}", "1") for number in range(10)],
        [("X-Large", "x" * 1000)],
        [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "5"), ("Content-Length", "5")],
        [("Content-Length", "-5")],
        [("Content-Length", "5, 5")],
    ],
)
async def test_heads_that_are_too_much_or_ambiguous_are_refused(headers: list[tuple[str, str]]) -> None:
    answer, reader = await send_to(*headers)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert not reader.was_called


@pytest.mark.parametrize("length", ["101", "9" * 40])
async def test_declared_length_above_the_limit_is_refused_unread(length: str) -> None:
    answer, reader = await send_to(("Content-Length", length), receive=forever)

    assert (answer.status, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert not reader.was_called


async def test_body_within_the_limits_comes_through() -> None:
    answer, reader = await send_to(("Content-Length", "100"), receive=body_of(b"x" * 60, b"y" * 40))

    assert answer.status == 204
    assert reader.body == b"x" * 60 + b"y" * 40


async def test_body_of_unknown_length_is_counted() -> None:
    _, reader = await send_to(
        ("Transfer-Encoding", "chunked"), receive=body_of(b"x" * 60, b"y" * 60, then=forever)
    )

    assert reader.refusal is not None
    assert (reader.refusal.code, reader.refusal.status) == ("PAYLOAD_TOO_LARGE", 413)


async def test_stalled_body_ends_with_a_timeout() -> None:
    async def stalled() -> Message:
        return await forever()

    _, reader = await send_to(("Content-Length", "50"), receive=stalled)

    assert reader.refusal is not None
    assert (reader.refusal.code, reader.refusal.status) == ("REQUEST_TIMEOUT", 408)


async def test_request_without_a_body_costs_no_wrapper() -> None:
    given: list[Receive] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        given.append(receive)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    await call(Guards(app, settings=SETTINGS), "/v1/models", receive=forever)

    assert given == [forever]


async def test_after_the_body_there_is_no_deadline() -> None:
    """The client of a long answer is silent for as long as it takes."""
    left = asyncio.Event()

    async def leave_later() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asyncio.get_running_loop().call_later(2 * SETTINGS.body_timeout_s, left.set)
        await send({"type": "seen", "message": await receive()})

    answer = await call(
        Guards(app, settings=SETTINGS),
        "/v1/me",
        headers=[("Content-Length", "1")],
        receive=body_of(b"x", then=leave_later),
    )

    assert answer.messages == [{"type": "seen", "message": {"type": "http.disconnect"}}]


async def test_upload_paths_take_larger_bodies_than_others() -> None:
    settings = Settings(max_body_bytes=10, max_upload_bytes=100)
    guards = Guards(Reader(), settings=settings, upload_paths={"/up": 100})
    length = ("Content-Length", "5000")

    upload = await call(guards, "/up", method="POST", headers=[length], receive=body_of(b"x" * 5000))
    other = await call(guards, "/other", method="POST", headers=[length])
    huge = await call(guards, "/up", method="POST", headers=[("Content-Length", "99999")])

    assert (upload.status, other.status, huge.status) == (204, 413, 413)


@pytest.mark.parametrize(("path", "status"), [("/up", 413), ("/files", 204)])
async def test_each_upload_path_has_a_limit_of_its_own(path: str, status: int) -> None:
    limits = {"/up": 100, "/files": 100_000}
    guards = Guards(Reader(), settings=Settings(max_body_bytes=10), upload_paths=limits)

    answer = await call(
        guards,
        path,
        method="POST",
        headers=[("Content-Length", "90000")],
        receive=body_of(b"x" * 90_000),
    )

    assert answer.status == status
