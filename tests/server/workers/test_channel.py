"""The gateway's end of a worker's socket, against a scripted peer on a real socket pair."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engines.contract.chat import Delta
from engines.contract.codec import FrameError, FrameReader, encode, worker_reader
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import (
    Accepted,
    Cancel,
    Done,
    Failed,
    FromWorker,
    Items,
    Progress,
    Start,
    ToWorker,
)
from engines.contract.types import Priority, Usage
from server.workers.channel import Channel, ControlFrame, RequestStream
from tests.fakes.workers import say

USAGE = Usage(1, 2)


class Peer:
    """A channel and the worker's end of its socket."""

    def __init__(self, channel: Channel, frames: FrameReader[ToWorker], writer: asyncio.StreamWriter) -> None:
        self.channel = channel
        self.control: list[ControlFrame] = []
        self.writer = writer
        self._frames = frames
        self.running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with contextlib.aclosing(self.channel.run()) as frames:
            async for frame in frames:
                self.control.append(frame)

    def start(self, text: str = "hello") -> RequestStream:
        return self.channel.start(say(text), Priority.DEFAULT)

    def tell(self, *frames: FromWorker) -> None:
        self.writer.writelines(encode(frame) for frame in frames)

    async def hear(self) -> ToWorker | None:
        async with asyncio.timeout(5):
            return await self._frames.read()

    async def settle(self) -> None:
        """Return once the channel has delivered all that was told so far."""
        num_seen = len(self.control)
        self.tell(Progress("loading", "mark"))
        async with asyncio.timeout(5):
            while len(self.control) == num_seen:  # noqa: ASYNC110 a turn of the loop, no sleep
                await asyncio.sleep(0)


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    peer = Peer(Channel(*await asyncio.open_unix_connection(sock=ours)), worker_reader(reader), writer)
    yield peer
    writer.close()
    await asyncio.wait({peer.running}, timeout=5)
    peer.running.exception()


async def test_events_of_interleaved_requests_reach_their_own_streams(peer: Peer) -> None:
    first, second = peer.start(), peer.start()

    peer.tell(Accepted(2), Accepted(1))
    peer.tell(Items([(1, Delta(0, "a")), (2, Delta(0, "x"))]), Items([(1, Delta(0, "b"))]))
    peer.tell(Done(2, USAGE), Done(1, Usage(3, 4)))
    await peer.settle()

    assert await first.next_batch() == [Delta(0, "a"), Delta(0, "b")]
    assert await second.next_batch() == [Delta(0, "x")]
    assert (await first.next_batch(), first.usage) == (None, Usage(3, 4))
    assert (await second.next_batch(), second.usage) == (None, USAGE)


async def test_start_carries_request_and_priority(peer: Peer) -> None:
    peer.channel.start(say("hi"), Priority.BATCH)

    assert await peer.hear() == Start(1, say("hi"), Priority.BATCH)


async def test_deltas_for_a_busy_consumer_are_delivered_together(peer: Peer) -> None:
    stream = peer.start()

    for number in range(50):
        peer.tell(Items([(1, Delta(0, str(number)))]))
    await peer.settle()

    assert await stream.next_batch() == [Delta(0, str(number)) for number in range(50)]


async def test_acceptance_comes_before_anything_else(peer: Peer) -> None:
    stream = peer.start()
    accepted = asyncio.create_task(stream.accepted())
    await peer.settle()
    was_waiting = not accepted.done()

    peer.tell(Accepted(1))
    await asyncio.wait_for(accepted, 5)

    assert was_waiting


async def test_refusal_is_raised_while_waiting_for_acceptance(peer: Peer) -> None:
    stream = peer.start()

    peer.tell(Failed(1, ErrorCode.VALIDATION_ERROR, "no", "messages", 7))

    with pytest.raises(EngineError) as caught:
        await stream.accepted()
    error = caught.value
    assert (error.code, error.field, error.retry_after_s) == (ErrorCode.VALIDATION_ERROR, "messages", 7)


async def test_failure_in_the_middle_comes_after_the_deltas_before_it(peer: Peer) -> None:
    stream = peer.start()
    peer.tell(Accepted(1), Items([(1, Delta(0, "a"))]), Failed(1, ErrorCode.BACKEND_ERROR, "broke"))
    await peer.settle()

    assert await stream.next_batch() == [Delta(0, "a")]
    with pytest.raises(EngineError, match="broke"):
        await stream.next_batch()


async def test_cancelled_wait_loses_no_delta(peer: Peer) -> None:
    stream = peer.start()
    waiting = asyncio.create_task(stream.next_batch())
    await peer.settle()

    waiting.cancel()
    peer.tell(Items([(1, Delta(0, "a"))]))
    await peer.settle()

    assert waiting.cancelled()
    assert await stream.next_batch() == [Delta(0, "a")]


async def test_closing_a_running_stream_sends_cancel_once(peer: Peer) -> None:
    stream, other = peer.start(), peer.start()
    await peer.hear()
    await peer.hear()

    stream.close()
    stream.close()
    other.close()

    assert [await peer.hear(), await peer.hear()] == [Cancel(1), Cancel(2)]


@pytest.mark.parametrize("end", [Done(1, USAGE), Failed(1, ErrorCode.BACKEND_ERROR, "broke")])
async def test_closing_an_ended_stream_sends_nothing(peer: Peer, end: FromWorker) -> None:
    stream, other = peer.start(), peer.start()
    peer.tell(end)
    await peer.settle()
    await peer.hear()
    await peer.hear()

    stream.close()
    other.close()

    assert await peer.hear() == Cancel(2)


async def test_stream_that_its_owner_failed_still_sends_cancel(peer: Peer) -> None:
    stream = peer.start()
    await peer.hear()
    stream.fail(EngineError(ErrorCode.BACKEND_TIMEOUT, "too long"))

    with pytest.raises(EngineError, match="too long"):
        await stream.accepted()
    stream.close()

    assert await peer.hear() == Cancel(1)


async def test_failed_stream_ends_although_the_worker_goes_on(peer: Peer) -> None:
    stream = peer.start()
    peer.tell(Accepted(1), Items([(1, Delta(0, "before"))]))
    await peer.settle()
    stream.fail(EngineError(ErrorCode.BACKEND_TIMEOUT, "too long"))

    peer.tell(Items([(1, Delta(0, "after"))]), Done(1, USAGE))
    await peer.settle()

    assert await stream.next_batch() == [Delta(0, "before")]
    with pytest.raises(EngineError, match="too long"):
        await stream.next_batch()
    assert stream.usage is None


async def test_late_frames_of_a_closed_stream_are_ignored(peer: Peer) -> None:
    peer.start().close()
    stream = peer.start()

    peer.tell(Accepted(1), Items([(1, Delta(0, "late")), (2, Delta(0, "a"))]), Done(1, USAGE), Accepted(99))
    await peer.settle()

    assert await stream.next_batch() == [Delta(0, "a")]


async def test_control_frames_are_yielded(peer: Peer) -> None:
    peer.tell(Progress("loading", "half"))
    await peer.settle()

    assert peer.control[0] == Progress("loading", "half")


async def test_lost_connection_fails_every_stream(peer: Peer) -> None:
    streams = [peer.start(), peer.start()]
    peer.tell(Accepted(1))

    peer.writer.close()
    await asyncio.wait_for(peer.running, 5)

    for stream in streams:
        with pytest.raises(EngineError) as caught:
            await stream.next_batch()
        assert (caught.value.code, caught.value.worker_died) == (ErrorCode.BACKEND_ERROR, True)


async def test_expected_end_of_the_connection_is_no_death(peer: Peer) -> None:
    stream = peer.start()
    peer.channel.expect_end()

    peer.writer.close()
    await asyncio.wait_for(peer.running, 5)

    with pytest.raises(EngineError) as caught:
        await stream.next_batch()
    assert not caught.value.worker_died


@pytest.mark.parametrize("worker_died", [False, True])
async def test_failure_says_whether_the_worker_died(peer: Peer, worker_died: bool) -> None:
    stream = peer.start()

    peer.tell(Failed(1, ErrorCode.BACKEND_ERROR, "the engine died", worker_died=worker_died))

    with pytest.raises(EngineError) as caught:
        await stream.accepted()
    assert caught.value.worker_died is worker_died


async def test_start_on_a_lost_connection_is_refused(peer: Peer) -> None:
    peer.writer.close()
    await asyncio.wait_for(peer.running, 5)

    with pytest.raises(EngineError) as caught:
        peer.start()
    assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE


@pytest.mark.parametrize("garbage", [b"\x03\x00\x00\x00abc", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc0"])
async def test_garbage_is_a_lost_connection(peer: Peer, garbage: bytes) -> None:
    stream = peer.start()

    peer.writer.write(garbage)

    with pytest.raises(FrameError):
        await asyncio.wait_for(peer.running, 5)
    with pytest.raises(EngineError) as caught:
        await stream.accepted()
    assert caught.value.code is ErrorCode.BACKEND_ERROR


async def test_request_above_the_frame_limit_is_refused_and_the_connection_lives(peer: Peer) -> None:
    with pytest.raises(EngineError) as caught:
        peer.start("x" * (64 * 1024 * 1024))
    peer.start("small")

    assert caught.value.code is ErrorCode.PAYLOAD_TOO_LARGE
    assert isinstance(await peer.hear(), Start)


async def test_all_running_requests_can_be_failed_at_once(peer: Peer) -> None:
    stream = peer.start()
    await peer.hear()

    peer.channel.fail_all(EngineError(ErrorCode.SHUTTING_DOWN, "going down"))

    with pytest.raises(EngineError, match="going down"):
        await stream.accepted()
    with pytest.raises(EngineError, match="going down"):
        peer.start()
    stream.close()
    assert await peer.hear() == Cancel(1)
