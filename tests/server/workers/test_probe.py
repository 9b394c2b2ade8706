"""A probe asks what a client would, and tells an answer from none."""

import asyncio
import os
import struct

import msgspec
import pytest

from engines.contract.chat import Delta, GenerateRequest
from engines.contract.embed import EmbedRequest, RerankRequest, Scores, Vectors
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import Accepted, Cancel, Done, Failed, Items, Start
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.requests import Item, Request
from engines.contract.spec import BackendSpec, Capabilities, Limits
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.transcribe import TranscribeRequest, TranscriptInfo
from engines.contract.types import Modality, Usage
from server.workers.probe import PNG_SIGNATURE, probe
from tests.fakes.specs import make_spec
from tests.server.workers.test_channel import Peer, peer

__all__ = ["peer"]
HEARS, SPEAKS = Capabilities(transcribe=True), Capabilities(synthesize=True)


def spec_of(modality: Modality, capabilities: Capabilities | None = None) -> BackendSpec:
    return msgspec.structs.replace(make_spec(capabilities=capabilities), modality=modality)


def vector(*numbers: float) -> Vectors:
    return Vectors(0, len(numbers), struct.pack(f"<{len(numbers)}f", *numbers))


def size_of(path: str) -> int | None:
    return os.stat(path).st_size if os.path.exists(path) else None


async def hear_request(peer: Peer) -> Start:
    frame = await peer.hear()
    assert isinstance(frame, Start)
    return frame


async def answer(peer: Peer, *items: Item) -> Request:
    start = await hear_request(peer)
    peer.tell(Accepted(start.id), Items([(start.id, item) for item in items]), Done(start.id, Usage(1, 1)))
    return start.request


@pytest.mark.parametrize(
    ("modality", "capabilities", "kind", "item"),
    [
        (Modality.CHAT, None, GenerateRequest, Delta(0, "x", finish_reason="length")),
        (Modality.EMBEDDING, None, EmbedRequest, vector(0.6, 0.8)),
        (Modality.RERANK, None, RerankRequest, Scores(0, (0.5,))),
        (Modality.IMAGE, None, ImageRequest, Picture(0, PNG_SIGNATURE + b"...", 0, 8, 8)),
        (Modality.AUDIO, HEARS, TranscribeRequest, TranscriptInfo("en", 0.5, 1.0)),
        (Modality.AUDIO, SPEAKS, SpeechRequest, AudioChunk(b"ID3", 0.4)),
    ],
)
async def test_every_modality_is_asked_and_its_answer_is_one(
    peer: Peer, modality: Modality, capabilities: Capabilities | None, kind: type[Request], item: Item
) -> None:
    probing = asyncio.create_task(probe(peer.channel, spec_of(modality, capabilities)))

    asked = await answer(peer, item)
    await asyncio.wait_for(probing, 5)

    assert type(asked) is kind


@pytest.mark.parametrize(
    ("modality", "capabilities", "item"),
    [
        (Modality.CHAT, None, Delta(0, "never ends")),
        (Modality.EMBEDDING, None, vector(float("nan"), 1.0)),
        (Modality.EMBEDDING, None, vector(0.0, 0.0)),
        (Modality.EMBEDDING, None, Vectors(0, 2, b"")),
        (Modality.RERANK, None, Scores(0, (float("inf"),))),
        (Modality.IMAGE, None, ImageProgress(1, 1)),
        (Modality.IMAGE, None, Picture(0, b"JFIF", 0, 8, 8)),
        (Modality.AUDIO, HEARS, TranscriptInfo("en", 0.5, 0.0)),
        (Modality.AUDIO, SPEAKS, AudioChunk(b"", 0.0)),
    ],
)
async def test_what_is_no_answer_fails_the_probe(
    peer: Peer, modality: Modality, capabilities: Capabilities | None, item: Item
) -> None:
    probing = asyncio.create_task(probe(peer.channel, spec_of(modality, capabilities)))

    await answer(peer, item)

    with pytest.raises(EngineError) as caught:
        await asyncio.wait_for(probing, 5)
    assert caught.value.code is ErrorCode.BACKEND_ERROR


async def test_the_sound_to_be_heard_is_a_file_and_gone_afterwards(peer: Peer) -> None:
    probing = asyncio.create_task(probe(peer.channel, spec_of(Modality.AUDIO, HEARS)))

    start = await hear_request(peer)
    assert isinstance(start.request, TranscribeRequest)
    sound = start.request.audio
    size_bytes = size_of(sound.path)
    peer.tell(Items([(start.id, TranscriptInfo("en", 0.5, 1.0))]), Done(start.id, Usage(0, 0)))
    await asyncio.wait_for(probing, 5)

    assert size_bytes == sound.size_bytes > 32000
    assert size_of(sound.path) is None


async def test_a_voice_that_does_not_read_a_script_is_tried_with_the_next(peer: Peer) -> None:
    probing = asyncio.create_task(probe(peer.channel, spec_of(Modality.AUDIO, SPEAKS)))

    first = await hear_request(peer)
    peer.tell(Failed(first.id, ErrorCode.VALIDATION_ERROR, "cannot be spoken", "input"))
    second = await answer(peer, AudioChunk(b"ID3", 0.4))
    await asyncio.wait_for(probing, 5)

    assert isinstance(first.request, SpeechRequest)
    assert isinstance(second, SpeechRequest)
    assert first.request.text != second.text


async def test_an_engines_own_failure_is_told_as_it_is(peer: Peer) -> None:
    probing = asyncio.create_task(probe(peer.channel, spec_of(Modality.CHAT)))

    start = await hear_request(peer)
    peer.tell(Failed(start.id, ErrorCode.BACKEND_ERROR, "out of memory"))

    with pytest.raises(EngineError, match="out of memory"):
        await asyncio.wait_for(probing, 5)


async def test_a_model_that_does_not_answer_is_cancelled_after_the_backends_limit(peer: Peer) -> None:
    spec = make_spec(limits=Limits(request_timeout_s=0.05))

    with pytest.raises(EngineError) as caught:
        await asyncio.wait_for(probe(peer.channel, spec), 5)

    assert caught.value.code is ErrorCode.BACKEND_TIMEOUT
    start = await hear_request(peer)
    assert await peer.hear() == Cancel(start.id)
