"""Images from text: what a client's request becomes, what an engine answers, and the engine's protocol."""

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from engines.contract.types import Priority, Usage


class ImageRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="image"):
    """Pictures to draw. None means the backend's own default.

    Picture number k is drawn with seed `seed` + k (modulo 2**63); without a seed the engine draws one and tells it.
    `quality` and `style` are names that the backend's options map to steps and guidance; any other is refused.
    """

    prompt: str
    n: int = 1
    width: int | None = None
    height: int | None = None
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    quality: str | None = None
    style: str | None = None


class ImageProgress(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """`step` of `num_steps` denoising steps are done for the whole request. Not every step is reported."""

    step: int
    num_steps: int


class Picture(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """One finished picture as a PNG file."""

    index: int
    png: bytes
    seed: int
    width: int
    height: int


class ImageEngine(Protocol):
    """An engine of modality `image`. Awaiting validates and admits; iterating yields progress and pictures in any
    order, then exactly one `Usage`. Closing the generator stops the denoising before its next step.
    """

    async def draw(
        self, request: ImageRequest, priority: Priority
    ) -> AsyncGenerator[ImageProgress | Picture | Usage, None]: ...
