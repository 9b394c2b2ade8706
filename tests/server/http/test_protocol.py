"""Deadlines of a connection, against a real uvicorn with raw sockets. Times are short, limits are small."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
import uvicorn
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.caller import Permission
from server.deps import Services
from server.http.protocol import server_config
from tests.fakes.edge import make_app, make_services

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEADER_TIMEOUT_S = 0.3
TOLERANCE_S = 1.5


@dataclass
class Running:
    """A server, a key for it, and what its handlers lived through."""

    services: Services
    key: str = ""
    port: int = 0
    connections: "list[Connection]" = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def head(self, request_line: str, *headers: str) -> bytes:
        lines = (f"{request_line} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.key}", *headers)
        return "\r\n".join((*lines, "", "")).encode()

    async def connect(self) -> "Connection":
        self.connections.append(Connection(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.connections[-1]

    async def hang_up(self) -> None:
        for connection in self.connections:
            connection.writer.transport.abort()
            await asyncio.gather(connection.writer.wait_closed(), return_exceptions=True)
        self.connections.clear()


class Flood(Response):
    """Sends without an end, as fast as the client reads."""

    def __init__(self, ended: asyncio.Event) -> None:
        super().__init__()
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        finally:
            self._ended.set()


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next response, which has a Content-Length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:] if line)
        return int(head.split()[1]), await self.reader.readexactly(int(fields["content-length"]))

    async def seconds_until_closed(self) -> float:
        started = time.monotonic()
        await asyncio.wait_for(self.reader.read(), 5)
        return time.monotonic() - started


def routes(running: Running) -> APIRouter:
    router = APIRouter()

    @router.post("/length")
    async def length(request: Request) -> Response:
        return Response(str(len(await request.body())))

    @router.post("/wait")
    async def wait(request: Request) -> Response:
        await request.body()
        running.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            running.ended.set()
        raise AssertionError("unreachable")

    @router.get("/quick")
    async def quick() -> Response:
        return Response("quick")

    @router.post("/flood")
    async def flood(request: Request) -> Response:
        await request.body()
        return Flood(running.ended)

    return router


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    services = make_services(
        tmp_path_factory.mktemp("data"),
        header_timeout_s=HEADER_TIMEOUT_S,
        body_timeout_s=0.3,
        min_body_rate=1_000_000,
        write_timeout_s=0.3,
        max_body_bytes=200_000,
        drain_timeout_s=1,
    )
    found = Running(services, key=services.keys.create("t", list(Permission)).secret.reveal())
    server = uvicorn.Server(server_config(make_app(services, [routes(found)]), services.settings))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells by a flag
        await asyncio.sleep(0.005)
    found.port = server.servers[0].sockets[0].getsockname()[1]
    yield found
    server.should_exit = True
    await serving
    services.keys.close()


@pytest_asyncio.fixture(loop_scope="module")
async def running(server: Running) -> AsyncIterator[Running]:
    """The one server, with nothing left of the test before."""
    server.waiting.clear()
    server.ended.clear()
    yield server
    await server.hang_up()


@pytest.mark.parametrize("said", [b"", b"GET /quick HTTP/1.1\r\nHost: local", b"\r\n", b"POST "])
async def test_connection_without_a_whole_head_is_closed(running: Running, said: bytes) -> None:
    connection = await running.connect()
    await connection.say(said)

    took_s = await connection.seconds_until_closed()

    assert HEADER_TIMEOUT_S / 2 < took_s < HEADER_TIMEOUT_S + TOLERANCE_S


@pytest.mark.parametrize("drop", [b"X-Slow: 1\r\n", b"\r\n"])
async def test_dripping_does_not_extend_the_deadline(running: Running, drop: bytes) -> None:
    connection = await running.connect()
    await connection.say(running.head("GET /quick"))
    await connection.answer()
    await connection.say(b"" if drop == b"\r\n" else b"GET /quick HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            await connection.say(drop)
            await asyncio.sleep(HEADER_TIMEOUT_S / 5)

    dripping = asyncio.create_task(drip())
    took_s = await connection.seconds_until_closed()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)

    assert took_s < HEADER_TIMEOUT_S + TOLERANCE_S


async def test_idle_connection_may_be_used_again(running: Running) -> None:
    """Keep-alive has its own, longer time."""
    connection = await running.connect()
    for _ in range(2):
        await connection.say(running.head("GET /quick"))
        assert await connection.answer() == (200, b"quick")
        await asyncio.sleep(2 * HEADER_TIMEOUT_S)


async def test_head_without_end_is_refused_before_it_fills_the_memory(running: Running) -> None:
    connection = await running.connect()
    await connection.say(b"GET /quick HTTP/1.1\r\nX-Large: " + b"x" * 70_000)

    status, _ = await connection.answer()

    assert status == 400
    assert await connection.seconds_until_closed() < TOLERANCE_S


async def test_large_header_is_refused_with_an_envelope(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("GET /quick", "X-Large: " + "x" * 40_000))

    status, body = await connection.answer()

    assert status == 400
    assert b'"BAD_REQUEST"' in body


async def test_length_and_encoding_together_are_refused(running: Running) -> None:
    connection = await running.connect()
    head = running.head("POST /length", "Content-Length: 5", "Transfer-Encoding: chunked")
    await connection.say(head + b"0\r\n\r\n")

    status, _ = await connection.answer()

    assert status == 400


async def test_bodies_and_pipelined_requests_come_through_whole(running: Running) -> None:
    connection = await running.connect()
    body = b"x" * 150_000
    one = running.head("POST /length", f"Content-Length: {len(body)}") + body
    await connection.say(one + one + running.head("GET /quick"))

    answers = [await connection.answer() for _ in range(3)]

    assert answers == [(200, b"150000"), (200, b"150000"), (200, b"quick")]


async def test_body_above_the_limit_is_refused_and_the_connection_goes_on(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("POST /length", "Content-Length: 300000"))

    status, body = await connection.answer()
    await connection.say(b"x" * 300_000 + running.head("GET /quick"))

    assert status == 413
    assert b'"PAYLOAD_TOO_LARGE"' in body
    assert await connection.answer() == (200, b"quick")


async def test_chunked_body_above_the_limit_is_refused(running: Running) -> None:
    connection = await running.connect()
    chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    await connection.say(running.head("POST /length", "Transfer-Encoding: chunked") + 3 * chunk)

    status, _ = await connection.answer()

    assert status == 413


async def test_rest_of_a_refused_body_must_come_soon(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("POST /length", "Content-Length: 300000") + b"x")
    await connection.answer()

    assert await connection.seconds_until_closed() < HEADER_TIMEOUT_S + TOLERANCE_S


async def test_key_is_checked_before_the_body_comes(running: Running) -> None:
    connection = await running.connect()
    stranger = replace(running, key="sgk_wrong")
    await connection.say(stranger.head("POST /length", "Content-Length: 1000"))

    status, _ = await connection.answer()

    assert status == 401


async def test_stalled_body_is_answered_and_the_connection_closed(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("POST /length", "Content-Length: 1000") + b"x")

    status, body = await connection.answer()

    assert status == 408
    assert b'"REQUEST_TIMEOUT"' in body
    assert await connection.seconds_until_closed() < HEADER_TIMEOUT_S + TOLERANCE_S


async def test_client_that_leaves_ends_a_waiting_handler(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("POST /wait", "Content-Length: 2") + b"{}")
    await asyncio.wait_for(running.waiting.wait(), 5)

    left_at = time.monotonic()
    connection.writer.close()
    await asyncio.wait_for(running.ended.wait(), 5)

    assert time.monotonic() - left_at < 0.25


async def test_half_a_pipelined_head_does_not_end_the_request_before_it(running: Running) -> None:
    connection = await running.connect()
    await connection.say(running.head("POST /wait", "Content-Length: 2") + b"{}GET /qu")
    await asyncio.wait_for(running.waiting.wait(), 5)

    await asyncio.sleep(2 * HEADER_TIMEOUT_S)

    assert not running.ended.is_set()


async def test_client_that_does_not_read_is_cut_off(running: Running) -> None:
    connection = await running.connect()
    connection.reader._transport.pause_reading()  # type: ignore[attr-defined]  # no public way
    await connection.say(running.head("POST /flood", "Content-Length: 0"))

    await asyncio.wait_for(running.ended.wait(), 5)
