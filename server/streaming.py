"""Sends a gateway call to a client: as a stream while it runs, or as one body at its end.

Knows no dialect: a `Renderer` turns items into bytes. A failure before the first byte is raised and becomes an
ordinary error response; afterwards it goes into the stream, or cuts it where the format has no place for it.
A client that takes nothing is the connection's concern: see `http/protocol.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import DONE_FRAME
from server.errors import ServiceError
from server.joining import condense
from server.telemetry import log_event

JSON = "application/json"


class StreamFormat(NamedTuple):
    """`ping` is sent into silence, `last` ends the stream in any case; both may be empty."""

    content_type: str
    ping: bytes = b""
    last: bytes = b""


EVENTS = StreamFormat("text/event-stream; charset=utf-8", b": ping\n\n", DONE_FRAME)


class Running(Protocol):
    """An admitted request: `server.gateway.Call`, or what a route has put around it."""

    @property
    def model(self) -> str: ...

    @property
    def backend_id(self) -> str: ...

    @property
    def can_stream(self) -> bool: ...

    @property
    def usage(self) -> Usage: ...

    async def next_batch(self) -> list[Item] | None: ...


@asynccontextmanager
async def begun(call: AbstractAsyncContextManager[Running]) -> AsyncIterator[Running]:
    """`call`, entered once its first items are there: until then a failure is raised on entering, and becomes an
    ordinary error response also where the stream itself could not tell it.
    """
    async with call as running:
        yield _Begun(running, await running.next_batch())


class _Begun:
    """A running request whose first batch has been taken."""

    def __init__(self, running: Running, first: list[Item] | None) -> None:
        self._running = running
        self._first: list[Item] | None = first
        self._is_first = True

    @property
    def model(self) -> str:
        return self._running.model

    @property
    def backend_id(self) -> str:
        return self._running.backend_id

    @property
    def can_stream(self) -> bool:
        return self._running.can_stream

    @property
    def usage(self) -> Usage:
        return self._running.usage

    async def next_batch(self) -> list[Item] | None:
        if not self._is_first:
            return await self._running.next_batch()
        self._is_first = False
        first, self._first = self._first, None
        return first


class Renderer(Protocol):
    """One request's dialect; made per request, may keep state between calls."""

    @property
    def stream_format(self) -> StreamFormat: ...

    @property
    def whole_type(self) -> str:
        """Content type of the body that `whole` makes."""

    def items(self, items: Sequence[Item]) -> bytes:
        """Zero or more pieces of the stream, each whole."""

    def end(self, usage: Usage) -> bytes:
        """The closing pieces, without the format's `last`."""

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        """The body of an answer that is not streamed, from all its items."""

    def failure(self, error: ServiceError) -> bytes | None:
        """How the stream tells a failure; None if it cannot: then it is cut off."""


class Answering(Response):
    """An ASGI response that runs `call` and renders what comes.

    A stream that is silent for `ping_s`, or at most twice as long, gets a ping if its format has one. `headers` are
    sent besides those that every answer has.
    """

    def __init__(
        self,
        call: AbstractAsyncContextManager[Running],
        renderer: Renderer,
        *,
        is_streamed: bool,
        headers: Sequence[tuple[bytes, bytes]] = (),
        ping_s: float = 7.5,
    ) -> None:
        self.background = None  # all that FastAPI asks of a response; the rest of `Response` would go unused
        self._call = call
        self._renderer = renderer
        self._is_streamed = is_streamed
        self._more_headers = headers
        self._ping_s = ping_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = _Sender(send)
        async with self._call as call:
            scope["state"]["model"] = call.model
            scope["state"]["backend"] = call.backend_id
            headers = [
                (b"x-scaigrid-model", call.model.encode()),
                (b"x-scaigrid-backend", call.backend_id.encode()),
                *self._more_headers,
            ]
            if self._is_streamed:
                await self._stream(call, sender, headers)
                return
            body = self._renderer.whole(await collect(call), call.usage)
        # The lease is returned by now: a slow reader of a whole body holds no place in the worker.
        content_type = self._renderer.whole_type.encode()
        await sender.start(
            [*headers, (b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        )
        await sender.send(body, is_last=True)

    async def _stream(self, call: Running, sender: "_Sender", headers: list[tuple[bytes, bytes]]) -> None:
        form = self._renderer.stream_format
        await sender.start(
            [
                *headers,
                (b"content-type", form.content_type.encode()),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
            ]
        )
        try:
            async with self._pings(sender, form.ping):
                await self._send_items(call, sender)
            last = self._renderer.end(call.usage)
        except ServiceError as error:
            told = self._renderer.failure(error)
            if told is None:  # a response that does not end makes the server close the connection
                log_event("stream.cut", code=error.code)
                return
            last = told
        await sender.send(last + form.last, is_last=True)

    async def _send_items(self, call: Running, sender: "_Sender") -> None:
        held: list[Item] = []
        while (batch := await call.next_batch()) is not None:
            if not call.can_stream:
                held += batch
            elif pieces := self._renderer.items(batch):
                await sender.send(pieces)
        if held:
            await sender.send(self._renderer.items(condense(held)))

    @asynccontextmanager
    async def _pings(self, sender: "_Sender", ping: bytes) -> AsyncIterator[None]:
        """Beside the stream, not around each wait: a timer per token would be a quarter of the time it costs."""
        if not ping:
            yield
            return
        pinging = asyncio.create_task(self._ping(sender, ping), name="stream.ping")
        try:
            yield
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def _ping(self, sender: "_Sender", ping: bytes) -> None:
        while True:
            num_sent = sender.num_sent
            await asyncio.sleep(self._ping_s)
            if sender.num_sent == num_sent:
                await sender.send(ping)


class _Sender:
    """Counts what it sends, so that silence is noticed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.num_sent = 0

    async def start(self, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, body: bytes, *, is_last: bool = False) -> None:
        self.num_sent += 1
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def collect(call: Running) -> list[Item]:
    """Wait for the end; everything that came, in order."""
    items: list[Item] = []
    while (batch := await call.next_batch()) is not None:
        items += batch
    return items
