"""Sends a gateway call to a client: as server-sent events while it runs, or as one body at its end.

Knows no dialect: a `Renderer` turns deltas into bytes. A failure before the first byte is raised and becomes
an ordinary error response; afterwards it goes into the stream, which ends with `data: [DONE]` in any case.
A client that takes nothing is the connection's concern: see `http/protocol.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engines.contract.chat import Delta, TokenLogprob, ToolCall, ToolCallDelta
from engines.contract.types import FinishReason, Usage
from server.envelope import DONE_FRAME
from server.errors import ServiceError
from server.gateway import Call

PING = b": ping\n\n"
SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Choice(msgspec.Struct, frozen=True):
    """One complete answer."""

    index: int
    content: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish_reason: FinishReason | None


class Answer(msgspec.Struct, frozen=True):
    """All choices of a finished request, by index."""

    choices: tuple[Choice, ...]
    usage: Usage


class Renderer(Protocol):
    """One request's dialect; made per request, may keep state between calls."""

    def deltas(self, deltas: Sequence[Delta]) -> bytes:
        """Zero or more event-stream frames."""

    def end(self, usage: Usage) -> bytes:
        """The closing frames, without `[DONE]`."""

    def whole(self, answer: Answer) -> bytes:
        """The JSON body of an answer that is not streamed."""

    def failure(self, error: ServiceError) -> bytes:
        """The `event: error` frame."""


class Answering(Response):
    """An ASGI response that runs `call` and renders what comes.

    A stream that is silent for `ping_s`, or at most twice as long, gets a comment.
    """

    def __init__(
        self,
        call: AbstractAsyncContextManager[Call],
        renderer: Renderer,
        *,
        is_streamed: bool,
        ping_s: float = 7.5,
    ) -> None:
        self.background = None  # all that FastAPI asks of a response; the rest of `Response` would go unused
        self._call = call
        self._renderer = renderer
        self._is_streamed = is_streamed
        self._ping_s = ping_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = _Sender(send)
        async with self._call as call:
            scope["state"]["model"] = call.model
            scope["state"]["backend"] = call.backend_id
            headers = [
                (b"x-scaigrid-model", call.model.encode()),
                (b"x-scaigrid-backend", call.backend_id.encode()),
            ]
            if self._is_streamed:
                await sender.start(headers + SSE_HEADERS)
                await self._stream(call, sender)
                return
            body = self._renderer.whole(await collect(call))
        # The lease is returned by now: a slow reader of a whole body holds no place in the worker.
        content = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await sender.start(headers + content)
        await sender.send(body, is_last=True)

    async def _stream(self, call: Call, sender: "_Sender") -> None:
        try:
            async with self._pings(sender):
                await self._send_deltas(call, sender)
            last = self._renderer.end(call.usage)
        except ServiceError as error:
            last = self._renderer.failure(error)
        await sender.send(last + DONE_FRAME, is_last=True)

    async def _send_deltas(self, call: Call, sender: "_Sender") -> None:
        held: list[Delta] = []
        while (batch := await call.next_batch()) is not None:
            if not call.can_stream:
                held += batch
            elif frames := self._renderer.deltas(batch):
                await sender.send(frames)
        if held:
            await sender.send(self._renderer.deltas([_as_delta(choice) for choice in _join(held)]))

    @asynccontextmanager
    async def _pings(self, sender: "_Sender") -> AsyncIterator[None]:
        """Beside the stream, not around each wait: a timer per token would be a quarter of the time it costs."""
        pinging = asyncio.create_task(self._ping(sender), name="stream.ping")
        try:
            yield
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def _ping(self, sender: "_Sender") -> None:
        while True:
            num_sent = sender.num_sent
            await asyncio.sleep(self._ping_s)
            if sender.num_sent == num_sent:
                await sender.send(PING)


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


async def collect(call: Call) -> Answer:
    """Wait for the end and put each choice's deltas together."""
    deltas: list[Delta] = []
    while (batch := await call.next_batch()) is not None:
        deltas += batch
    return Answer(_join(deltas), call.usage)


def _join(deltas: list[Delta]) -> tuple[Choice, ...]:
    parts: dict[int, list[Delta]] = {}
    for delta in deltas:
        parts.setdefault(delta.index, []).append(delta)
    return tuple(_join_choice(index, parts[index]) for index in sorted(parts))


def _join_choice(index: int, deltas: list[Delta]) -> Choice:
    calls: dict[int, ToolCall] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls):
        sofar = calls.get(piece.index) or ToolCall(piece.id or "", piece.name or "", "")
        calls[piece.index] = ToolCall(sofar.id, sofar.name, sofar.arguments + piece.arguments)
    return Choice(
        index=index,
        content="".join(delta.content for delta in deltas),
        reasoning="".join(delta.reasoning for delta in deltas),
        tool_calls=tuple(calls[number] for number in sorted(calls)),
        logprobs=tuple(logprob for delta in deltas for logprob in delta.logprobs),
        finish_reason=deltas[-1].finish_reason,
    )


def _as_delta(choice: Choice) -> Delta:
    """A whole choice as if it had come in one step."""
    pieces = tuple(
        ToolCallDelta(number, call.id, call.name, call.arguments)
        for number, call in enumerate(choice.tool_calls)
    )
    return Delta(
        choice.index, choice.content, choice.reasoning, pieces, choice.logprobs, choice.finish_reason
    )
