"""Answers over ASGI, with a prepared call and a dialect that shows what it was given."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest
from starlette.types import Message, Scope

from engines.contract.chat import Alternative, Delta, TokenLogprob, ToolCall, ToolCallDelta
from engines.contract.errors import ErrorCode
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.errors import ServiceError
from server.gateway import Call
from server.joining import Choice, join
from server.streaming import EVENTS, JSON, Answering, collect

BROKEN = ServiceError(ErrorCode.BACKEND_ERROR, "broke")
REFUSED = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "full")
USAGE = Usage(3, 2)


class FakeCall:
    """Yields `batches`; an error among them is raised, None waits for ever. Says whether it was left."""

    model = "acme/chat"
    backend_id = "be_a"
    usage = USAGE

    def __init__(self, *batches: list[Delta] | ServiceError | None, can_stream: bool = True) -> None:
        self.can_stream = can_stream
        self.is_open = False
        self._batches = list(batches)

    async def next_batch(self) -> list[Delta] | None:
        if not self._batches:
            return None
        batch = self._batches[0]
        if batch is None:
            await asyncio.Event().wait()
        self._batches.pop(0)
        if isinstance(batch, ServiceError):
            raise batch
        return batch

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Call]:
        self.is_open = True
        try:
            yield cast(Call, self)
        finally:
            self.is_open = False


class FakeRenderer:
    stream_format = EVENTS
    whole_type = JSON

    def items(self, items: Sequence[Item]) -> bytes:
        return b"".join(
            b"<%s>" % item.content.encode() for item in items if isinstance(item, Delta) and item.content
        )

    def end(self, usage: Usage) -> bytes:
        return b"<end %d>" % usage.total_tokens

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return b"|".join(choice.content.encode() for choice in join(items))

    def failure(self, error: ServiceError) -> bytes:
        return b"<failure %s>" % error.code.encode()


class Client:
    """The receiving end."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.scope: Scope = {"type": "http", "state": {}}
        self.was_open: list[bool] = []
        self.moved = asyncio.Event()

    async def take(self, call: FakeCall, *, is_streamed: bool = True, ping_s: float = 15.0) -> None:
        async def send(message: Message) -> None:
            self.was_open.append(call.is_open)
            self.messages.append(message)
            self.moved.set()

        answering = Answering(call.run(), FakeRenderer(), is_streamed=is_streamed, ping_s=ping_s)
        await answering(self.scope, receive_nothing, send)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]


async def receive_nothing() -> Message:
    raise AssertionError("the body was read before")


class TestStreams:
    async def test_frames_come_in_order_and_done_is_last(self) -> None:
        client, call = Client(), FakeCall([Delta(0, "a"), Delta(0, "b")], [Delta(0, "c")])

        await client.take(call)

        assert client.bodies == [b"<a><b>", b"<c>", b"<end 5>data: [DONE]\n\n"]
        assert [message.get("more_body") for message in client.messages] == [None, True, True, False]
        assert not call.is_open

    async def test_headers_name_model_and_backend(self) -> None:
        client = Client()

        await client.take(FakeCall())

        assert client.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        assert client.headers[b"x-scaigrid-model"] == b"acme/chat"
        assert client.headers[b"x-scaigrid-backend"] == b"be_a"
        assert client.scope["state"] == {"model": "acme/chat", "backend": "be_a"}

    async def test_failure_in_the_middle_is_told_in_the_stream_which_ends_with_done(self) -> None:
        client, call = Client(), FakeCall([Delta(0, "a")], BROKEN)

        await client.take(call)

        assert client.bodies == [b"<a>", b"<failure BACKEND_ERROR>data: [DONE]\n\n"]
        assert not call.is_open

    async def test_refusal_is_raised_before_the_first_byte(self) -> None:
        client = Client()

        @contextlib.asynccontextmanager
        async def refuse() -> AsyncIterator[Call]:
            raise REFUSED
            yield

        answering = Answering(refuse(), FakeRenderer(), is_streamed=True)
        with pytest.raises(ServiceError) as caught:
            await answering(client.scope, receive_nothing, lambda message: pytest.fail("sent something"))
        assert caught.value is REFUSED

    async def test_batch_without_frames_sends_nothing(self) -> None:
        client = Client()

        await client.take(FakeCall([Delta(0)], [Delta(0, "a")]))

        assert client.bodies == [b"<a>", b"<end 5>data: [DONE]\n\n"]

    @pytest.mark.parametrize("can_stream", [True, False])
    async def test_silence_is_filled_with_pings(self, can_stream: bool) -> None:
        client, call = Client(), FakeCall(None, can_stream=can_stream)
        taking = asyncio.create_task(client.take(call, ping_s=0.01))

        async with asyncio.timeout(5):
            while client.bodies[:2] != [b": ping\n\n"] * 2 if client.messages else True:
                await client.moved.wait()
                client.moved.clear()
        taking.cancel()
        await asyncio.wait({taking})

        assert not call.is_open

    async def test_model_that_cannot_stream_comes_as_one_piece_per_choice(self) -> None:
        client = Client()
        call = FakeCall([Delta(0, "a"), Delta(1, "x")], [Delta(0, "b")], can_stream=False)

        await client.take(call)

        assert client.bodies == [b"<ab><x>", b"<end 5>data: [DONE]\n\n"]

    async def test_cancellation_ends_the_call(self) -> None:
        client, call = Client(), FakeCall([Delta(0, "a")], None)
        taking = asyncio.create_task(client.take(call))
        await asyncio.wait_for(client.moved.wait(), 5)

        taking.cancel()
        await asyncio.wait({taking})

        assert taking.cancelled()
        assert not call.is_open


class TestWholeBodies:
    async def test_body_comes_with_its_length(self) -> None:
        client = Client()

        await client.take(FakeCall([Delta(0, "a")], [Delta(1, "x"), Delta(0, "b")]), is_streamed=False)

        assert client.bodies == [b"ab|x"]
        assert client.headers[b"content-length"] == b"4"
        assert client.headers[b"content-type"] == b"application/json"

    async def test_failure_is_raised_before_the_first_byte(self) -> None:
        client, call = Client(), FakeCall([Delta(0, "a")], BROKEN)

        with pytest.raises(ServiceError):
            await client.take(call, is_streamed=False)

        assert client.messages == []
        assert not call.is_open

    async def test_lease_is_returned_before_the_body_is_sent(self) -> None:
        client = Client()

        await client.take(FakeCall([Delta(0, "a")]), is_streamed=False)

        assert client.was_open == [False, False]


class TestCollect:
    async def test_joins_text_logprobs_and_end_of_each_choice(self) -> None:
        first, second = (TokenLogprob(Alternative(t, t.encode(), -0.5)) for t in "ab")
        call = FakeCall(
            [Delta(1, "x", reasoning="why ")],
            [Delta(0, "a", logprobs=(first,)), Delta(1, "y", reasoning="not", finish_reason="length")],
            [Delta(0, "b", logprobs=(second,), finish_reason="stop")],
        )

        choices = join(await collect(cast(Call, call)))

        assert choices == (
            Choice(0, "ab", "", (), (first, second), "stop"),
            Choice(1, "xy", "why not", (), (), "length"),
        )

    async def test_joins_the_pieces_of_interleaved_tool_calls(self) -> None:
        call = FakeCall(
            [Delta(0, tool_calls=(ToolCallDelta(1, "id1", "g", "{"),))],
            [Delta(0, tool_calls=(ToolCallDelta(0, "id0", "f"), ToolCallDelta(1, arguments="}")))],
            [Delta(0, tool_calls=(ToolCallDelta(0, arguments="[]"),), finish_reason="tool_calls")],
        )

        choices = join(await collect(cast(Call, call)))

        assert choices[0].tool_calls == (ToolCall("id0", "f", "[]"), ToolCall("id1", "g", "{}"))
