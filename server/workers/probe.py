"""One small, real request of what a backend does, and whether the answer is one. Knows no HTTP and no scheduling.

A worker that says `ready` has computed an answer by itself; a probe asks it as clients are served, through its channel.
"""

import asyncio
import contextlib
import math
import struct
import tempfile
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engines.contract.chat import Delta, GenerateRequest, Sampling
from engines.contract.embed import EmbedRequest, RerankRequest, Scores, Vectors
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.image import ImageRequest, Picture
from engines.contract.requests import Item, Request
from engines.contract.spec import BackendSpec
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.transcribe import AudioFile, TranscribeRequest, TranscriptInfo
from engines.contract.types import Modality, Priority
from server.workers.channel import Channel

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREETINGS = ("Hello there.", "Привет.", "你好。", "こんにちは。", "안녕하세요.", "مرحبا.", "नमस्ते।")
"""In scripts of which a voice reads at least one."""


class Probe(NamedTuple):
    """`requests` are tried in turn until one is not refused as invalid; `is_answer` judges the first item it likes."""

    requests: tuple[Request, ...]
    is_answer: Callable[[Item], bool]


async def probe(channel: Channel, spec: BackendSpec) -> None:
    """Ask, and look at the answer. Takes at most the backend's `request_timeout_s`, and no lease.

    Raises EngineError: what the engine refuses or fails with; BACKEND_TIMEOUT; BACKEND_ERROR for what is no answer.
    """
    limit_s = spec.limits.request_timeout_s
    try:
        async with asyncio.timeout(limit_s), _probes(spec) as probes:
            for one in probes:
                await _carry_out(channel, one)
    except TimeoutError as error:
        message = f"The model did not answer a small request within {limit_s:g} s"
        raise EngineError(ErrorCode.BACKEND_TIMEOUT, message) from error


async def _carry_out(channel: Channel, one: Probe) -> None:
    *first, last = one.requests
    for request in first:
        try:
            return await _ask(channel, request, one.is_answer)
        except EngineError as error:
            if error.code is not ErrorCode.VALIDATION_ERROR:
                raise
    await _ask(channel, last, one.is_answer)


async def _ask(channel: Channel, request: Request, is_answer: Callable[[Item], bool]) -> None:
    stream = channel.start(request, Priority.INTERACTIVE)
    try:
        found = False
        while (batch := await stream.next_batch()) is not None:
            found = found or any(map(is_answer, batch))
    finally:
        stream.close()
    if not found:
        raise EngineError(ErrorCode.BACKEND_ERROR, "The model's answer to a small request was none")


@contextlib.asynccontextmanager
async def _probes(spec: BackendSpec) -> AsyncIterator[Sequence[Probe]]:
    """What to ask a backend. Files that are asked about exist for as long as the context lasts."""
    if spec.modality is not Modality.AUDIO:
        yield [_PROBES[spec.modality]]
        return
    probes = [_SPEAKING] if spec.capabilities.synthesize else []
    with tempfile.TemporaryDirectory() as folder:
        if spec.capabilities.transcribe:
            silence = await asyncio.to_thread(_write_silence, Path(folder))
            probes.append(Probe((TranscribeRequest(silence),), _is_heard))
        yield probes


def _write_silence(folder: Path) -> AudioFile:
    """One second: heard, decoded and looked through, though it says nothing."""
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000))
    return AudioFile(str(path), path.stat().st_size)


def _is_text(item: Item) -> bool:
    return isinstance(item, Delta) and item.finish_reason is not None


def _is_vector(item: Item) -> bool:
    if not isinstance(item, Vectors) or not item.data or len(item.data) != 4 * item.dimensions:
        return False
    numbers = struct.unpack(f"<{item.dimensions}f", item.data)
    return all(map(math.isfinite, numbers)) and any(numbers)


def _is_score(item: Item) -> bool:
    return isinstance(item, Scores) and bool(item.scores) and all(map(math.isfinite, item.scores))


def _is_picture(item: Item) -> bool:
    return isinstance(item, Picture) and item.png.startswith(PNG_SIGNATURE)


def _is_sound(item: Item) -> bool:
    return isinstance(item, AudioChunk) and bool(item.data)


def _is_heard(item: Item) -> bool:
    return isinstance(item, TranscriptInfo) and item.duration_s > 0


_PROBES = {
    Modality.CHAT: Probe((GenerateRequest(("Hi",), Sampling(max_tokens=1, temperature=0.0)),), _is_text),
    Modality.EMBEDDING: Probe((EmbedRequest(("Hi",)),), _is_vector),
    Modality.RERANK: Probe((RerankRequest("Hi", ("Hello",)),), _is_score),
    Modality.IMAGE: Probe((ImageRequest("a grey stone", steps=1, seed=0),), _is_picture),
}
_SPEAKING = Probe(tuple(SpeechRequest(text, seed=0) for text in GREETINGS), _is_sound)
