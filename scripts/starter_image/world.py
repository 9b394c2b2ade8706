"""The closed world of the starter image model: one plain shape on one plain background.

It knows nothing of pixels and of prompts.
"""

import zlib
from typing import NamedTuple

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 220, 40),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "orange": (245, 140, 20),
    "purple": (130, 40, 170),
}
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = ("small", "big")
HELD_OUT_EVERY = 8
"""One combination in about this many is kept out of training."""


class Picture(NamedTuple):
    """What a picture shows, in the words of the prompts."""

    background: str
    colour: str
    shape: str
    size: str


def is_held_out(picture: Picture) -> bool:
    return zlib.crc32(" ".join(picture).encode()) % HELD_OUT_EVERY == 0


def pictures(*, held_out: bool) -> list[Picture]:
    """Every combination of the training part, or of the part kept out of it."""
    combinations = (
        Picture(background, colour, shape, size)
        for background in COLOURS
        for colour in COLOURS
        for shape in SHAPES
        for size in SIZES
        if colour != background
    )
    return [picture for picture in combinations if is_held_out(picture) == held_out]
