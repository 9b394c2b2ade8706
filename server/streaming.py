"""Sends a gateway call to a client: as server-sent events while it runs, or as one body at its end.

Knows no dialect: a `Renderer` turns deltas into bytes. A failure before the first byte is raised and becomes
an ordinary error response; afterwards it goes into the stream, which ends with `data: [DONE]` in any case.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from engines.contract.chat import Delta, TokenLogprob, ToolCall, ToolCallDelta
from engines.contract.types import FinishReason, Usage
from server.errors import ServiceError
from server.gateway import Call

DONE = b"data: [DONE]\n\n"
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


class StreamTimes(msgspec.Struct, frozen=True):
    """Seconds. A silent stream gets a comment every `ping_s`; who takes nothing for `write_s` is dropped."""

    ping_s: float = 15.0
    write_s: float = 30.0


class Answering(Response):
    """An ASGI response that runs `call` and renders what comes."""

    def __init__(
        self,
        call: AbstractAsyncContextManager[Call],
        renderer: Renderer,
        *,
        is_streamed: bool,
        times: StreamTimes,
    ) -> None:
        self.background = None  # all that FastAPI asks of a response; the rest of `Response` would go unused
        self._call = call
        self._renderer = renderer
        self._is_streamed = is_streamed
        self._times = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = _Sender(send, self._times.write_s)
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
        held: list[Delta] = []
        try:
            while (batch := await self._next_batch(call, sender)) is not None:
                if not call.can_stream:
                    held += batch
                elif frames := self._renderer.deltas(batch):
                    await sender.send(frames)
            if held:
                await sender.send(self._renderer.deltas([_as_delta(choice) for choice in _join(held)]))
            last = self._renderer.end(call.usage)
        except ServiceError as error:
            last = self._renderer.failure(error)
        await sender.send(last + DONE, is_last=True)

    async def _next_batch(self, call: Call, sender: "_Sender") -> list[Delta] | None:
        while True:
            try:
                async with asyncio.timeout(self._times.ping_s):
                    return await call.next_batch()
            except TimeoutError:
                await sender.send(PING)


class ClientStalled(Exception):
    """The client took no byte for longer than allowed; its connection is to be dropped."""


class _Sender:
    def __init__(self, send: Send, write_timeout_s: float) -> None:
        self._send = send
        self._write_timeout_s = write_timeout_s

    async def start(self, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send_in_time({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, body: bytes, *, is_last: bool = False) -> None:
        await self._send_in_time({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def _send_in_time(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._send(message)
        except TimeoutError:
            raise ClientStalled from None


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
