"""A client that leaves ends its request, whatever the handler waits for; nothing else does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.context import RequestContext
from server.http.disconnect import CancelOnDisconnect
from server.telemetry import Metrics
from tests.fakes.edge import Answer, body_of, call, forever


class Client:
    """Sends one body and leaves when told."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.receive = body_of(b"{}", then=self._wait_and_leave)

    async def _wait_and_leave(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


async def run(app: ASGIApp, receive: Receive) -> tuple[Answer, str]:
    metrics = Metrics()
    stack = RequestContext(CancelOnDisconnect(app, metrics=metrics), metrics=metrics)
    answer = await call(stack, "/v1/inference/chat", method="POST", receive=receive)
    return answer, metrics.render().decode()


def handler(body: Callable[[Receive, Send], Awaitable[None]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await body(receive, send)

    return app


async def answer_ok(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def test_handler_that_waits_is_cancelled_when_the_client_leaves() -> None:
    client = Client()
    released = False

    async def waits_for_a_worker(receive: Receive, send: Send) -> None:
        nonlocal released
        client.leaves.set()
        try:
            await forever()
        finally:
            released = True

    answer, text = await run(handler(waits_for_a_worker), client.receive)

    assert released
    assert answer.messages == []
    assert "hearth_disconnects_total 1.0" in text
    assert 'status="499"' in text


async def test_stream_is_cancelled_between_chunks() -> None:
    client = Client()
    sent = 0

    async def streams(receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent += 1
            if sent == 3:
                client.leaves.set()
            await asyncio.sleep(0)

    _, text = await run(handler(streams), client.receive)

    assert 3 <= sent < 10
    assert 'status="499"' in text


async def test_complete_answer_is_no_disconnect_while_the_handler_tidies_up() -> None:
    """uvicorn reports a disconnect once the answer is complete; returning the lease must not be cut short."""
    client = Client()
    tidied = False

    async def tidies_up(receive: Receive, send: Send) -> None:
        nonlocal tidied
        await answer_ok(send)
        client.leaves.set()
        for _ in range(5):
            await asyncio.sleep(0)
        tidied = True

    answer, text = await run(handler(tidies_up), client.receive)

    assert tidied
    assert answer.status == 200
    assert "hearth_disconnects_total 0.0" in text


async def test_half_a_body_is_never_taken_for_a_whole_one() -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    seen: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            seen.append(await receive())

    _, text = await run(app, receive)

    assert [message["type"] for message in seen] == ["http.request"]
    assert "hearth_disconnects_total 1.0" in text


async def test_handler_may_listen_for_the_disconnect_itself() -> None:
    client = Client()
    heard: list[Message] = []

    async def listens(receive: Receive, send: Send) -> None:
        await answer_ok(send)
        client.leaves.set()
        heard.append(await receive())

    await run(handler(listens), client.receive)

    assert heard == [{"type": "http.disconnect"}]


async def test_cancellation_by_others_goes_on_up() -> None:
    client = Client()
    started = asyncio.Event()

    async def waits(receive: Receive, send: Send) -> None:
        started.set()
        await forever()

    task = asyncio.create_task(run(handler(waits), client.receive))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_task_of_the_request_is_whole_again_afterwards() -> None:
    """The server's task must not stay marked as cancelled, or its next await dies."""
    client = Client()

    async def swallows(receive: Receive, send: Send) -> None:
        client.leaves.set()
        try:
            await forever()
        except asyncio.CancelledError:
            await answer_ok(send)

    await run(handler(swallows), client.receive)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_failure_while_being_cancelled_is_reported_as_a_failure() -> None:
    client = Client()

    async def fails(receive: Receive, send: Send) -> None:
        client.leaves.set()
        try:
            await forever()
        finally:
            raise ValueError("while tidying up")

    _, text = await run(handler(fails), client.receive)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert "hearth_disconnects_total 1.0" in text


async def test_request_that_ends_well_leaves_no_listener() -> None:
    client = Client()

    async def ends(receive: Receive, send: Send) -> None:
        await answer_ok(send)

    answer, _ = await run(handler(ends), client.receive)
    await asyncio.sleep(0)

    assert answer.body == b"done"
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "request.disconnect"] == []
