"""The speech engine on the real coqui-tts and tiny random models, through a real worker's socket."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest
import pytest_asyncio

from engines.contract.errors import ErrorCode
from engines.contract.frames import Done
from engines.contract.speech import AudioChunk, AudioFormat, SpeechRequest
from engines.contract.types import Priority
from tests.engines.conftest import engines_python
from tests.engines.coqui_models import make_model, read_sounds, speech_spec
from tests.engines.in_engines import run_tests
from tests.engines.running_worker import ROOT, Answer, Peer, Request, RunningWorker, chat, running

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="session")]

FORMATS = get_args(AudioFormat)
SENTENCES = [f"This is the sentence with the letter {letter}." for letter in "abcdefgh"]
LONG = " ".join(SENTENCES)
VOICES = {"anna": {"speaker": "p1"}, "ben": {"speaker": "p2", "language": "en"}}
Worker = tuple[RunningWorker, Peer]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def two_voices(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    """A VITS with voices anna and ben; alloy is another name for ben."""
    folder = tmp_path_factory.mktemp("vits")
    options = {"voices": VOICES, "voice_aliases": {"alloy": "ben"}}
    spec = speech_spec(make_model("vits", folder / "model"), **options)
    async with running(folder, spec, engines_python()) as started:
        yield started


def sound_of(answer: Answer) -> bytes:
    return b"".join(chunk.data for chunk in chunks_of(answer))


def chunks_of(answer: Answer) -> list[AudioChunk]:
    return [item for item in answer.items if isinstance(item, AudioChunk)]


async def first_chunk(request: Request) -> AudioChunk:
    while not isinstance(event := await request.next(), AudioChunk):
        assert event is not None
    return event


async def test_every_format_is_a_file_of_the_right_length(tmp_path: Path, two_voices: Worker) -> None:
    _, peer = two_voices
    requests = [SpeechRequest(LONG, audio_format=name, seed=1) for name in FORMATS]

    answers = [await peer.ask(request) for request in requests]

    files = [tmp_path / f"sound.{name}" for name in FORMATS]
    for file, answer in zip(files, answers, strict=True):
        file.write_bytes(sound_of(answer))
    rates = {"opus": 48000, "pcm": 24000}
    for name, sound, answer in zip(FORMATS, read_sounds(files), answers, strict=True):
        assert sound.seconds == pytest.approx(answer.usage.audio_s, abs=0.15), name
        assert (sound.rate_hz, sound.channels) == (rates.get(name, 16000), 1), name
    assert len({answer.usage.audio_s for answer in answers}) == 1


async def test_wav_is_read_by_pythons_own_module(two_voices: Worker) -> None:
    _, peer = two_voices

    answer = await peer.ask(SpeechRequest("Hello there.", audio_format="wav"))

    with wave.open(io.BytesIO(sound_of(answer))) as file:
        samples = file.readframes(file.getnframes())
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
    assert len(samples) / 2 / 16000 == pytest.approx(answer.usage.audio_s, abs=0.001)


@pytest.mark.parametrize("audio_format", FORMATS)
async def test_sound_comes_with_each_sentence(two_voices: Worker, audio_format: AudioFormat) -> None:
    _, peer = two_voices

    answer = await peer.ask(SpeechRequest(LONG, audio_format=audio_format))

    chunks = chunks_of(answer)
    assert len(chunks) >= len(SENTENCES)
    assert chunks[0].duration_s < answer.usage.audio_s / 4
    assert sum(chunk.duration_s for chunk in chunks) == pytest.approx(answer.usage.audio_s, abs=0.01)


async def test_short_text_is_spoken_between_the_sentences_of_a_long_one(two_voices: Worker) -> None:
    """Which also shows that a long text's first sound is sent long before its last sentence is made."""
    _, peer = two_voices
    long = peer.start(SpeechRequest(LONG))
    await first_chunk(long)

    short = await peer.ask(SpeechRequest("Hello there."))

    before = drain(long)
    rest = await long.answer()
    assert isinstance(short.end, Done)
    assert not any(isinstance(event, Done) for event in before)
    assert len(chunks_of(rest)) >= 2


def drain(request: Request) -> list[object]:
    found: list[object] = []
    while request.has_more():
        found.append(request._queue.get_nowait())
    return found


async def test_urgent_text_comes_before_waiting_ones(two_voices: Worker) -> None:
    _, peer = two_voices
    ended: list[str] = []

    async def say(name: str, text: str, priority: Priority) -> None:
        await peer.ask(SpeechRequest(text), priority)
        ended.append(name)

    await asyncio.gather(
        say("first", LONG, Priority.BATCH),
        say("second", LONG, Priority.BATCH),
        say("urgent", LONG, Priority.INTERACTIVE),
    )

    assert ended[0] == "urgent"


async def test_cancel_stops_before_the_next_sentence(two_voices: Worker) -> None:
    _, peer = two_voices
    steps_before = (await peer.next_stats()).engine.steps
    text = " ".join(SENTENCES * 10)
    request = peer.start(SpeechRequest(text))
    await first_chunk(request)

    request.cancel()

    answer = await request.answer()
    stats = await peer.next_stats()
    assert answer.failure.code is ErrorCode.BACKEND_ERROR
    assert stats.engine.steps - steps_before < 2 * len(SENTENCES * 10)
    assert (stats.in_flight, stats.engine.running, stats.engine.waiting) == (0, 0, 0)


async def test_speed_is_the_models_own(two_voices: Worker) -> None:
    _, peer = two_voices

    lengths = [
        (await peer.ask(SpeechRequest("This is one sentence.", speed=speed, seed=1))).usage.audio_s
        for speed in (0.25, 1.0, 4.0)
    ]

    assert lengths[0] > 2 * lengths[1]
    assert lengths[1] > 1.5 * lengths[2]  # this model rounds up, to a frame for each letter


async def test_seed_repeats_the_sound_also_beside_others(two_voices: Worker) -> None:
    _, peer = two_voices
    seeded = SpeechRequest("One sentence. And a second one.", audio_format="wav", seed=7)

    alone = sound_of(await peer.ask(seeded))
    same, _, other = await asyncio.gather(
        peer.ask(seeded),
        peer.ask(SpeechRequest(LONG)),
        peer.ask(SpeechRequest(seeded.text, audio_format="wav")),
    )

    assert sound_of(same) == alone != sound_of(other)


async def test_voices_differ_and_aliases_do_not(two_voices: Worker) -> None:
    _, peer = two_voices

    anna, default, ben, alloy = [
        sound_of(await peer.ask(SpeechRequest("Hello there.", voice, audio_format="wav", seed=1)))
        for voice in ("anna", None, "ben", "alloy")
    ]

    assert anna == default != ben == alloy


async def test_long_passages_are_cut_at_commas_and_words(two_voices: Worker) -> None:
    _, peer = two_voices

    answers = [
        await peer.ask(SpeechRequest(text, audio_format="wav")) for text in ("word, " * 100, "a" * 1000)
    ]

    assert [len(chunks_of(answer)) for answer in answers] == [3, 4]


REFUSED: dict[str, tuple[SpeechRequest, str, str]] = {
    "empty": (SpeechRequest(""), "input", "nothing"),
    "spaces": (SpeechRequest(" \n\t "), "input", "nothing"),
    "punctuation": (SpeechRequest("... !? --"), "input", "nothing"),
    "emoji": (SpeechRequest("\U0001f600\U0001f680"), "input", "nothing"),
    "control": (SpeechRequest("\x00\x07\x1b"), "input", "nothing"),
    "other script": (SpeechRequest("漢字"), "input", "nothing"),
    "too long": (SpeechRequest("a " * 2049), "input", "4096"),
    "unknown voice": (SpeechRequest("Hello.", "nobody"), "voice", "anna, ben"),
    "unknown language": (SpeechRequest("Hello.", language="xx"), "language", "en"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_spoken_is_refused_with_its_field(two_voices: Worker, case: str) -> None:
    _, peer = two_voices
    request, field, word = REFUSED[case]

    answer = await peer.ask(request)

    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, field)
    assert word in answer.failure.message
    assert not answer.is_accepted


SPOKEN = [
    "a",
    "I",
    "Ok!",
    "x" * 4096,
    "Hi \U0001f600 you.",
    "tab\tand\x00nul",
    "é à ü ok",
    ")(*&^%$ a",
    "1 2 3 go",
]


@pytest.mark.parametrize("text", SPOKEN)
async def test_odd_text_is_spoken_as_far_as_it_is_known(two_voices: Worker, text: str) -> None:
    _, peer = two_voices

    answer = await peer.ask(SpeechRequest(text))

    assert answer.usage.audio_s > 0


async def test_a_conversation_is_refused(two_voices: Worker) -> None:
    _, peer = two_voices

    answer = await peer.ask(chat("Hello"))

    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "model")


async def test_texts_are_not_logged(two_voices: Worker) -> None:
    worker, peer = two_voices

    await peer.ask(SpeechRequest("My secret is 漢字 kumquat."))

    log = worker.log.read_text()
    assert "kumquat" not in log
    assert "漢" not in log


async def test_models_of_all_kinds_load_and_speak() -> None:
    """In the engines' Python itself: a worker for each model would take minutes to start."""
    output = await asyncio.to_thread(run_tests, ROOT / "tests/engines/coqui_parts/test_loading.py")

    assert " passed" in output
    assert "skipped" not in output
