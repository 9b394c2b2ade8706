"""Pictures of clients become plain pixels, in a child; what is no picture, or a bomb, is refused in our own words."""

import base64
import os
import random
import zlib
from collections.abc import AsyncIterator

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.media import ImageLimits, MediaDecoder, Pixels
from tests import png
from tests.engines.conftest import engines_python

pytestmark = pytest.mark.engines
RED = (255, 0, 0)
RED_WEBP = base64.b64decode("UklGRhwAAABXRUJQVlA4TA8AAAAvAkAAAAcQ/Y/+ByKi/wEA")  # 3 x 2 pixels
CLEAR_PNG = base64.b64decode(  # one pixel of red that cannot be seen
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DAAAAEAQEARwbK3gAAAABJRU5ErkJggg=="
)
TURNED_JPEG = base64.b64decode(  # 16 x 8 pixels; the camera was held on its side
    "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlk"
    "kYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9//j/wAALCAAIABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAA"
    "AAAAAAAAAAAA/9oACAEBAAA/ALh//9k="
)
GIF = base64.b64decode("R0lGODdhAgACAIEAAAAAAAAAAAAAAAAAACwAAAAAAgACAAAIBgABCAQQEAA7")
NOISE = png.assembled(100, 100, zlib.compress(random.Random(0).randbytes(100 * 301)))


@pytest.fixture
async def decoder() -> AsyncIterator[MediaDecoder]:
    running = MediaDecoder(2, engines_python())
    running.start()
    yield running
    running.close()


@pytest.mark.parametrize("content", [png.plain(RED, 3, 2), RED_WEBP])
async def test_pixels_are_those_of_the_picture(decoder: MediaDecoder, content: bytes) -> None:
    assert await decoder.decode_image(content, ImageLimits(), "image") == Pixels(3, 2, bytes(RED) * 6)


async def test_transparency_lies_over_white(decoder: MediaDecoder) -> None:
    assert (await decoder.decode_image(CLEAR_PNG, ImageLimits(), "image")).content == b"\xff\xff\xff"


async def test_photograph_is_turned_as_the_camera_says(decoder: MediaDecoder) -> None:
    pixels = await decoder.decode_image(TURNED_JPEG, ImageLimits(), "image")

    assert (pixels.width, pixels.height) == (8, 16)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello", "not a PNG"),
        (GIF, "not a PNG"),
        (NOISE[:9000], "damaged"),
        (png.assembled(50_000, 50_000, zlib.compress(bytes(1000))), "too large"),
        (png.assembled(8000, 8000, zlib.compress(bytes(1000))), "too large"),
        (png.assembled(8193, 1, zlib.compress(bytes(1000))), "too large"),
    ],
)
async def test_bad_picture_is_refused_and_the_next_one_is_read(
    decoder: MediaDecoder, content: bytes, words: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        await decoder.decode_image(content, ImageLimits(), "image")

    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert refusal.value.field == "image"
    assert words in refusal.value.message
    good = await decoder.decode_image(png.plain(RED, 1, 1), ImageLimits(), "image")
    assert good.content == bytes(RED)


async def test_descriptors_are_closed(decoder: MediaDecoder) -> None:
    await decoder.decode_image(RED_WEBP, ImageLimits(), "image")
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        await decoder.decode_image(RED_WEBP, ImageLimits(), "image")

    assert len(os.listdir("/proc/self/fd")) == before
