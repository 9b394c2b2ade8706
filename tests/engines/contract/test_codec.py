"""Frames survive the way through a socket, and what is no frame is refused."""

import asyncio

import msgspec
import pytest

from engines.contract import codec
from engines.contract.codec import FrameError, encode, gateway_reader, worker_reader
from engines.contract.frames import FromWorker, Progress, ToWorker
from tests.engines.contract.samples import FROM_WORKER, TO_WORKER


def stream_of(*chunks: bytes) -> asyncio.StreamReader:
    """A stream whose peer sent this and closed."""
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return stream


@pytest.mark.parametrize("frame", TO_WORKER.values(), ids=TO_WORKER)
async def test_worker_reads_what_a_gateway_encodes(frame: ToWorker) -> None:
    reader = worker_reader(stream_of(encode(frame)))

    assert frame == await reader.read()
    assert await reader.read() is None


@pytest.mark.parametrize("frame", FROM_WORKER.values(), ids=FROM_WORKER)
async def test_gateway_reads_what_a_worker_encodes(frame: FromWorker) -> None:
    assert frame == await gateway_reader(stream_of(encode(frame))).read()


async def test_frames_keep_their_order_when_they_arrive_in_one_chunk() -> None:
    frames = list(FROM_WORKER.values())
    reader = gateway_reader(stream_of(b"".join(map(encode, frames))))

    assert frames == [await reader.read() for _ in frames]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, -1])
async def test_truncated_frame_is_the_end_of_the_stream(cut: int) -> None:
    raw = encode(TO_WORKER["cancel"])

    assert await worker_reader(stream_of(raw[:cut])).read() is None


async def test_length_above_the_limit_is_refused_before_its_bytes_are_read() -> None:
    reader = worker_reader(stream_of((codec.MAX_FRAME_BYTES + 1).to_bytes(4, "little")))

    with pytest.raises(FrameError, match="above the limit"):
        await reader.read()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"type": "nonsense"}),
        msgspec.msgpack.encode({"type": "cancel", "id": "1"}),
    ],
    ids=["empty", "no msgpack", "unknown tag", "wrong type"],
)
async def test_payload_that_is_no_frame_is_refused(payload: bytes) -> None:
    reader = worker_reader(stream_of(len(payload).to_bytes(4, "little") + payload))

    with pytest.raises(FrameError):
        await reader.read()


async def test_worker_refuses_a_frame_of_the_other_direction() -> None:
    with pytest.raises(FrameError):
        await worker_reader(stream_of(encode(FROM_WORKER["ready"]))).read()


def test_encoding_above_the_limit_is_refused() -> None:
    with pytest.raises(FrameError, match="above the limit"):
        encode(Progress("loading", "x" * codec.MAX_FRAME_BYTES))
