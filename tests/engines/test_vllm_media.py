"""Chat with images and sound on a real vLLM: tiny models that see and hear, with random weights made on the spot."""

import asyncio
import io
import math
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from engines.contract.chat import AudioPart, ChatRequest, ImagePart, Message, Part, Sampling, TextPart
from engines.contract.errors import ErrorCode
from engines.contract.spec import Capabilities
from tests import png
from tests.engines.conftest import VllmWorker, cache, engines_python, vllm_spec
from tests.engines.in_engines import run_module
from tests.engines.running_worker import Answer, running

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="module")]

MAX_IMAGES = 2
SIDE = 56
RED, BLACK = (png.plain(colour, SIDE, SIDE) for colour in ((255, 0, 0), (0, 0, 0)))


@asynccontextmanager
async def random_model(
    folder: Path, script: str, capabilities: Capabilities, **options: object
) -> AsyncIterator[VllmWorker]:
    """A worker with a model that `script` makes."""
    await asyncio.to_thread(run_module, f"tests.engines.{script}", str(folder / "model"))
    spec = msgspec.structs.replace(
        vllm_spec(**options), weights=str(folder / "model"), capabilities=capabilities
    )
    async with running(folder, spec, engines_python(), cache()) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VllmWorker]:
    folder, capabilities = tmp_path_factory.mktemp("seeing"), Capabilities(vision=True)
    async with random_model(folder, "make_seeing_model", capabilities, max_images=MAX_IMAGES) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hearing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VllmWorker]:
    folder, capabilities = tmp_path_factory.mktemp("hearing"), Capabilities(audio_input=True)
    async with random_model(folder, "make_hearing_model", capabilities, max_sound_s=2) as started:
        yield started


def wav(pitch_hz: float, duration_s: float = 0.5) -> bytes:
    """A tone, 16 kHz."""
    samples = [
        int(9000 * math.sin(2 * math.pi * pitch_hz * n / 16000)) for n in range(int(16000 * duration_s))
    ]
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


def show(*parts: Part) -> ChatRequest:
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    sampling = Sampling(max_tokens=1, temperature=0.0, logprobs=1)
    return ChatRequest((Message("user", text, parts=parts),), sampling)


def logprob(answer: Answer) -> float:
    return answer.deltas[0].logprobs[0].chosen.logprob


async def test_answer_depends_on_what_is_in_the_image(seeing: VllmWorker) -> None:
    _, peer = seeing
    question = TextPart("What is this?")
    red, again, blue = [
        await peer.ask(show(question, ImagePart(png.plain(colour, SIDE, SIDE))))
        for colour in ((255, 0, 0), (255, 0, 0), (0, 0, 255))
    ]

    assert logprob(red) == pytest.approx(logprob(again))
    assert logprob(red) != pytest.approx(logprob(blue), abs=1e-7)


async def test_image_counts_as_the_tokens_that_it_takes(seeing: VllmWorker) -> None:
    _, peer = seeing

    blind = await peer.ask(show(TextPart("What is this?"), TextPart("!")))
    sighted = await peer.ask(show(TextPart("What is this?"), ImagePart(RED), TextPart("!")))

    assert sighted.usage.prompt_tokens >= blind.usage.prompt_tokens + 4


async def test_text_that_spells_the_placeholder_stays_text(seeing: VllmWorker) -> None:
    _, peer = seeing

    answer = await peer.ask(show(TextPart("<image>"), ImagePart(RED)))

    assert answer.usage.completion_tokens == 1


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ((TextPart("a"), ImagePart(b"no image")), "messages.0.content.1"),
        ((ImagePart(BLACK[:60]),), "messages.0.content.0"),
        ((ImagePart(png.plain((0, 0, 0), 8193, 1)),), "messages.0.content.0"),
        (
            tuple(ImagePart(BLACK) for _ in range(MAX_IMAGES + 1)),
            "messages.0.content.2",
        ),
    ],
)
async def test_bad_image_is_refused_and_the_worker_goes_on(
    seeing: VllmWorker, parts: tuple[Part, ...], field: str
) -> None:
    _, peer = seeing

    refused = await peer.ask(show(*parts))

    assert (refused.failure.code, refused.failure.field) == (ErrorCode.VALIDATION_ERROR, field)
    assert (await peer.ask(show(TextPart("hi")))).usage.completion_tokens == 1


async def test_conversation_longer_than_the_context_is_refused(seeing: VllmWorker) -> None:
    _, peer = seeing

    refused = await peer.ask(show(TextPart("the " * 505), ImagePart(BLACK)))

    assert (refused.failure.code, refused.failure.field) == (ErrorCode.VALIDATION_ERROR, "messages")


async def test_answer_depends_on_what_is_heard(hearing: VllmWorker) -> None:
    _, peer = hearing
    question = TextPart("What is this?")
    low, again, high = [await peer.ask(show(question, AudioPart(wav(pitch)))) for pitch in (200, 200, 2000)]

    assert logprob(low) == pytest.approx(logprob(again))
    assert logprob(low) != pytest.approx(logprob(high), abs=1e-7)


@pytest.mark.parametrize("sound", [b"no sound", b"", wav(200, 3)])
async def test_bad_sound_is_refused_with_its_place(hearing: VllmWorker, sound: bytes) -> None:
    _, peer = hearing

    refused = await peer.ask(show(TextPart("a"), AudioPart(sound)))

    assert (refused.failure.code, refused.failure.field) == (
        ErrorCode.VALIDATION_ERROR,
        "messages.0.content.1",
    )
