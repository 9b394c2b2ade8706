"""Pictures of clients become plain pixels, in a child; what is no picture, or a bomb, is refused in our own words."""

import io
import os
import struct
import zlib
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("PIL", reason="needs the engines' environment")
pytest.importorskip("av", reason="needs the engines' environment")

from PIL import Image

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.media import ImageLimits, MediaDecoder, Pixels

RED = (255, 0, 0)


@pytest.fixture
async def decoder() -> AsyncIterator[MediaDecoder]:
    running = MediaDecoder(2)
    running.start()
    yield running
    running.close()


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few hundred bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
async def test_pixels_are_those_of_the_picture(
    decoder: MediaDecoder, form: str, options: dict[str, object]
) -> None:
    content = encoded(Image.new("RGB", (3, 2), RED), form, **options)

    assert await decoder.decode_image(content, ImageLimits(), "image") == Pixels(3, 2, bytes(RED) * 6)


async def test_transparency_lies_over_white(decoder: MediaDecoder) -> None:
    content = encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 0)), "PNG")

    assert (await decoder.decode_image(content, ImageLimits(), "image")).content == b"\xff\xff\xff"


async def test_photograph_is_turned_as_the_camera_says(decoder: MediaDecoder) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (30, 20), RED), "JPEG", exif=exif)

    pixels = await decoder.decode_image(content, ImageLimits(), "image")

    assert (pixels.width, pixels.height) == (20, 30)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello", "not a PNG"),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), "not a PNG"),
        (encoded(Image.effect_noise((300, 300), 90), "PNG")[:40_000], "damaged"),
        (png_that_claims(50_000, 50_000), "too large"),
        (png_that_claims(8000, 8000), "too large"),
        (png_that_claims(8193, 1), "too large"),
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
    good = encoded(Image.new("RGB", (1, 1), RED), "PNG")
    assert (await decoder.decode_image(good, ImageLimits(), "image")).content == bytes(RED)


async def test_descriptors_are_closed(decoder: MediaDecoder) -> None:
    good = encoded(Image.new("RGB", (1, 1), RED), "PNG")
    await decoder.decode_image(good, ImageLimits(), "image")
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        await decoder.decode_image(good, ImageLimits(), "image")

    assert len(os.listdir("/proc/self/fd")) == before
