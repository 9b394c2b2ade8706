"""Images and sound of a conversation, from a client's files to what vLLM takes; knows no prompts and no answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

from engines.contract.chat import AudioPart, ImagePart, Message, Part
from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.decode_audio import SAMPLE_RATE_HZ
from engines.runtime.media import DecodeLimits, ImageLimits, MediaDecoder, Pixels, Sound
from engines.vllm_parts.options import Options

_AT_ONCE = 4
_DECODE_S = 20.0

MultiModalData = dict[str, list[Any]]
"""vLLM's `multi_modal_data`: lists of PIL images, and of pairs of float32 samples and their rate."""


class MediaReader:
    """Decodes media in the killable children of `runtime.media` (rule R8)."""

    def __init__(self, options: Options) -> None:
        self._most = {ImagePart: options.max_images, AudioPart: options.max_sounds}
        self._sound_limits = DecodeLimits(max_audio_s=options.max_sound_s, timeout_s=_DECODE_S)
        self._decoder = MediaDecoder(_AT_ONCE)

    async def read(self, messages: Sequence[Message]) -> MultiModalData:
        """Everything in order of its place. Raises EngineError: VALIDATION_ERROR with the path of the part."""
        found = [
            (f"messages.{number}.content.{index}", part)
            for number, message in enumerate(messages)
            for index, part in enumerate(message.parts)
        ]
        data: MultiModalData = {}
        for kind, name, read in (
            (ImagePart, "image", self._read_image),
            (AudioPart, "audio", self._read_sound),
        ):
            wanted = [(path, part) for path, part in found if isinstance(part, kind)]
            if len(wanted) > self._most[kind]:
                field = wanted[self._most[kind]][0]
                raise _invalid(field, f"is one too many: this model takes {self._most[kind]} of a kind")
            if wanted:
                data[name] = list(await asyncio.gather(*(read(path, part) for path, part in wanted)))
        return data

    def close(self) -> None:
        self._decoder.close()

    async def _read_image(self, path: str, part: Part) -> Any:
        pixels = await self._decoder.decode_image(_content(part), ImageLimits(), path)
        return await asyncio.to_thread(_pil_image, pixels)

    async def _read_sound(self, path: str, part: Part) -> Any:
        sound = await self._decoder.decode_audio(_content(part), self._sound_limits, path)
        return await asyncio.to_thread(_samples, sound), SAMPLE_RATE_HZ


def _content(part: Part) -> bytes:
    return part.data if isinstance(part, ImagePart | AudioPart) else b""


def _pil_image(pixels: Pixels) -> Any:
    from PIL import Image

    return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.content)


def _samples(sound: Sound) -> Any:
    """`(samples,) float32` in -1..1."""
    import numpy as np

    return np.frombuffer(sound.samples, "<i2", count=sound.num_samples).astype(np.float32) / 32768


def _invalid(field: str, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
