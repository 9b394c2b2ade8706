"""From a PNG, JPEG or WebP file to plain pixels, with Pillow; runs only in the short-lived children of `decoding`.

Knows neither engines nor requests. What comes in is hostile until proven otherwise.
"""

import os
from typing import Literal

import msgspec

ImageVerdict = Literal["decoded", "empty", "not_image", "too_large", "broken", "too_slow"]
BYTES_PER_PIXEL = 3
_FORMATS = ("PNG", "JPEG", "WEBP")
_ORIENTATION = 0x0112


class ImageReport(msgspec.Struct, frozen=True):
    """How it went; `width` x `height` pixels were written, red, green, blue, row by row from the top."""

    verdict: ImageVerdict
    width: int = 0
    height: int = 0


def prepare() -> None:
    """Import and set up everything that decoding needs, by decoding: children may open nothing later."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # `decode` has a limit of its own, far below Pillow's
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    for form in _FORMATS:
        source, target = os.memfd_create("source"), os.memfd_create("target")
        with os.fdopen(os.dup(source), "wb") as file:
            Image.new("RGB", (2, 2)).save(file, form, exif=exif)
        os.lseek(source, 0, os.SEEK_SET)
        if decode(source, target, max_side=2, max_pixels=4).verdict != "decoded":
            raise RuntimeError(f"Pillow cannot decode {form}")
        os.close(target)


def decode(source: int, target: int, *, max_side: int, max_pixels: int) -> ImageReport:
    """Decode the file behind descriptor `source`, write its pixels to `target`. Of an animation, the first frame.

    The size that the file claims is looked at before any of its pixels. Transparency is laid over white, and what the
    camera noted as the way up is up.
    """
    from PIL import Image, ImageOps

    if os.fstat(source).st_size == 0:
        return ImageReport("empty")
    try:
        image = Image.open(os.fdopen(source, "rb"), formats=_FORMATS)
    except (OSError, ValueError, SyntaxError):
        return ImageReport("not_image")
    width, height = image.size
    if max(width, height) > max_side or width * height > max_pixels:
        return ImageReport("too_large", width, height)
    try:
        image = ImageOps.exif_transpose(image).convert("RGBA")
        pixels = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    except (OSError, ValueError, SyntaxError, MemoryError):
        return ImageReport("broken")
    content = memoryview(pixels.tobytes())
    while content:
        content = content[os.write(target, content) :]
    return ImageReport("decoded", *pixels.size)
