"""Frames to bytes and back: a 4-byte little-endian length, then strict msgpack. No pickle, no partial trust."""

import asyncio
from typing import Generic, TypeVar

import msgspec

from engines.contract.frames import FromWorker, ToWorker

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH_BYTES = 4
_encoder = msgspec.msgpack.Encoder()
_Frame = TypeVar("_Frame")


class FrameError(Exception):
    """The peer sent something that is no frame of ours; the connection is of no further use."""


class FrameReader(Generic[_Frame]):
    """Reads frames of one direction from a stream."""

    def __init__(self, stream: asyncio.StreamReader, decoder: "msgspec.msgpack.Decoder[_Frame]") -> None:
        self._stream = stream
        self._decoder = decoder

    async def read(self) -> _Frame | None:
        """The next frame, or None when the peer has closed. Raises FrameError for anything that is not a frame."""
        try:
            length = int.from_bytes(await self._stream.readexactly(_LENGTH_BYTES), "little")
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"frame of {length} bytes is above the limit of {MAX_FRAME_BYTES}")
            return self._decoder.decode(await self._stream.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except msgspec.MsgspecError as error:
            raise FrameError(str(error)) from error


def gateway_reader(stream: asyncio.StreamReader) -> FrameReader[FromWorker]:
    return FrameReader(stream, msgspec.msgpack.Decoder(FromWorker))


def worker_reader(stream: asyncio.StreamReader) -> FrameReader[ToWorker]:
    return FrameReader(stream, msgspec.msgpack.Decoder(ToWorker))


def encode(frame: ToWorker | FromWorker) -> bytes:
    """One frame with its length in front. Raises FrameError above MAX_FRAME_BYTES."""
    payload = _encoder.encode(frame)
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"frame of {len(payload)} bytes is above the limit of {MAX_FRAME_BYTES}")
    return len(payload).to_bytes(_LENGTH_BYTES, "little") + payload
