"""Drawings of the closed world: what the starter image model learns from.

It needs Pillow alone and knows nothing of prompts.
"""

from random import Random
from typing import TypeAlias

from PIL import Image, ImageDraw

from starter_image.world import COLOURS, Picture

SIDE = 64
OVERSAMPLING = 4
"""Pictures are drawn this many times too large and then shrunk, for soft edges."""
RADII = {"small": 11.0, "big": 21.0}
SHIFTS = {"small": 6.0, "big": 3.0}
"""How far, in pixels, a shape may lie from the middle in each direction."""
ARM = 0.33
"""Half the width of a cross's arm, as a share of its radius."""

Box: TypeAlias = tuple[float, float, float, float]
Colour: TypeAlias = tuple[int, int, int]


def draw_picture(picture: Picture, rng: Random) -> Image.Image:
    """A drawing of ``picture``, 64 by 64, whose place and exact size are drawn from ``rng``."""
    shift = SHIFTS[picture.size]
    x, y = SIDE / 2 + rng.uniform(-shift, shift), SIDE / 2 + rng.uniform(-shift, shift)
    radius = RADII[picture.size] * rng.uniform(0.94, 1.06)
    box = (x - radius, y - radius, x + radius, y + radius)
    large = Image.new("RGB", (SIDE * OVERSAMPLING,) * 2, COLOURS[picture.background])
    left, top, right, bottom = (edge * OVERSAMPLING for edge in box)
    draw_shape(large, picture.shape, (left, top, right, bottom), COLOURS[picture.colour])
    return large.resize((SIDE, SIDE), Image.Resampling.BOX)


def draw_shape(image: Image.Image, shape: str, box: Box, colour: Colour | int) -> None:
    """Draw a shape into ``image`` that fills ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    arm_x, arm_y = ARM * (right - left) / 2, ARM * (bottom - top) / 2
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "triangle":
        pen.polygon([(x, top), (left, bottom), (right, bottom)], fill=colour)
    else:
        pen.rectangle((left, y - arm_y, right, y + arm_y), fill=colour)
        pen.rectangle((x - arm_x, top, x + arm_x, bottom), fill=colour)
