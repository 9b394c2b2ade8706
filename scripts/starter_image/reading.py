"""Reads a picture of the closed world back into words, whoever painted it.

It needs numpy and Pillow alone, so that tests can judge a server's pictures.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from starter_image.drawing import OVERSAMPLING, Box, draw_shape
from starter_image.world import COLOURS, SHAPES, Picture

NOTHING = "nothing"
"""Stands for what is not there or not to be recognised."""
LEAST_CONTRAST = 60.0
"""Distance in RGB from which on a pixel does not belong to the background."""
LEAST_AREA = 0.01
"""Share of the picture below which a shape does not count."""
LEAST_OVERLAP = 0.7
"""Intersection over union with the true shape below which a shape is not recognised."""
SMALLEST_BIG = 0.25
"""From this radius on, as a share of the picture's side, a shape is big."""
BORDER = 1 / 16
STRAY = 1.5
"""Percentage of the shape's rows and columns on each side that may be stray pixels."""

Pixels: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]


def read_picture(image: Image.Image) -> Picture:
    """What ``image`` shows; colour, shape and size are ``NOTHING`` where it shows no shape."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    background = _border_colour(pixels)
    stands_out = _distance(pixels, background) > LEAST_CONTRAST
    if stands_out.mean() < LEAST_AREA:
        return Picture(_name(background), NOTHING, NOTHING, NOTHING)
    colour = np.median(pixels[stands_out], axis=0)
    mask = _distance(pixels, colour) < _distance(pixels, background)
    if mask.mean() < LEAST_AREA:
        return Picture(_name(background), NOTHING, NOTHING, NOTHING)
    box = _bounds(mask)
    return Picture(_name(background), _name(colour), _shape(mask, box), _size(mask, box))


def _border_colour(pixels: Pixels) -> Pixels:
    width = max(1, round(min(pixels.shape[:2]) * BORDER))
    edges = (pixels[:width], pixels[-width:], pixels[:, :width], pixels[:, -width:])
    return np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0)


def _distance(pixels: Pixels, colour: Pixels) -> Pixels:
    return np.linalg.norm(pixels - colour, axis=-1)


def _name(colour: Pixels) -> str:
    return min(COLOURS, key=lambda name: float(_distance(colour, np.array(COLOURS[name]))))


def _bounds(mask: Mask) -> Box:
    rows, columns = np.nonzero(mask)
    left, right = np.percentile(columns, (STRAY, 100 - STRAY))
    top, bottom = np.percentile(rows, (STRAY, 100 - STRAY))
    return float(left), float(top), float(right + 1), float(bottom + 1)


def _shape(mask: Mask, box: Box) -> str:
    overlaps = {shape: _overlap(mask, _ideal(shape, box, mask.shape)) for shape in SHAPES}
    shape = max(overlaps, key=overlaps.__getitem__)
    return shape if overlaps[shape] >= LEAST_OVERLAP else NOTHING


def _ideal(shape: str, box: Box, size: tuple[int, ...]) -> Mask:
    """The pixels of a true shape that fills ``box``."""
    height, width = size
    large = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    left, top, right, bottom = (edge * OVERSAMPLING for edge in box)
    draw_shape(large, shape, (left, top, right, bottom), 255)
    return np.asarray(large.resize((width, height), Image.Resampling.BOX)) > 127


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def _size(mask: Mask, box: Box) -> str:
    left, top, right, bottom = box
    radius = ((right - left) + (bottom - top)) / 4
    return "big" if radius >= SMALLEST_BIG * min(mask.shape) else "small"
