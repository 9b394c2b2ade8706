"""A worker with a real Whisper: what it hears, how requests share its batches, what it refuses, how it stops."""

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.contract.errors import ErrorCode
from engines.contract.frames import Accepted, Failed
from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.transcribe import AudioFile, Segment, TranscribeRequest, TranscriptInfo
from engines.contract.types import Modality
from server.workers.voice import voice
from tests.engines import sounds
from tests.engines.conftest import engines_python
from tests.engines.running_worker import ROOT, Answer, Peer, RunningWorker, running

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="session")]
WEIGHTS = ROOT / "model_configs/starter/transcribe"
MAX_AUDIO_S = 900
Worker = tuple[RunningWorker, Peer]


def spec(**options: Any) -> BackendSpec:
    return BackendSpec(
        id="be_hears",
        engine="whisper_transcribe",
        modality=Modality.AUDIO,
        frontends=(Frontend("starter/transcribe"),),
        weights=str(WEIGHTS),
        licence="Apache-2.0",
        capabilities=Capabilities(transcribe=True),
        device="cpu",
        options={"max_audio_s": MAX_AUDIO_S, "omp_num_threads": 1} | options,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    if not WEIGHTS.is_dir():
        pytest.skip("no starter/transcribe")
    async with running(tmp_path_factory.mktemp("whisper"), spec(), engines_python()) as started:
        yield started


@pytest.fixture
def peer(worker: Worker) -> Peer:
    return worker[1]


def request(path: Path, **fields: Any) -> TranscribeRequest:
    return TranscribeRequest(AudioFile(str(path), path.stat().st_size), **fields)


def segments(answer: Answer) -> list[Segment]:
    return [event for event in answer.events if isinstance(event, Segment)]


def text(answer: Answer) -> str:
    return "".join(segment.text for segment in segments(answer)).strip()


def share_of_words(expected: str, heard: str) -> float:
    """How many of the expected words are there; the model is small."""
    words = expected.split()
    return sum(word in heard.split() for word in words) / len(words)


async def test_spoken_sentence_is_written_down(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.camera("flac")))

    accepted, info, *rest = answer.events
    assert isinstance(accepted, Accepted)
    assert isinstance(info, TranscriptInfo)
    assert (info.language, info.duration_s) == ("en", pytest.approx(1.71, abs=0.05))
    assert info.language_probability > 0.5
    assert len(rest) == len(segments(answer)) + 1
    assert share_of_words(sounds.SPOKEN, text(answer)) > 0.7
    assert answer.usage.audio_s == info.duration_s
    assert answer.usage.completion_tokens > 0


async def test_segments_have_times_and_figures(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.camera("ogg")))

    for number, segment in enumerate(segments(answer)):
        assert segment.index == number
        assert 0 <= segment.start_s < segment.end_s < 2.5
        assert segment.tokens
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob <= 1
        assert segment.words == ()


async def test_words_have_times_within_the_file(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.camera("wav"), word_timestamps=True))

    words = [word for segment in segments(answer) for word in segment.words]
    assert " ".join(word.text.strip() for word in words) == text(answer)
    assert all(0 <= word.start_s <= word.end_s < 2.5 for word in words)
    assert [word.start_s for word in words] == sorted(word.start_s for word in words)
    assert all(0 <= word.probability <= 1 for word in words)


async def test_same_answer_alone_and_among_others(peer: Peer) -> None:
    alone = text(await peer.ask(request(sounds.camera("flac"))))

    answers = await asyncio.gather(
        *(peer.ask(request(sounds.camera("flac"), language="en")) for _ in range(6)),
        *(peer.ask(request(sounds.FOLDER / "german.mp3", language="de")) for _ in range(2)),
        peer.ask(request(sounds.camera("flac"), prompt="kitchen cellar", word_timestamps=True)),
    )

    assert [text(answer) for answer in answers[:6]] == [alone] * 6
    assert text(answers[6]) == text(answers[7])


async def test_windows_of_different_requests_share_batches(peer: Peer) -> None:
    """Each lone request has two: of language and of text."""
    before = (await peer.next_stats()).engine.steps
    num_requests = 12

    await asyncio.gather(
        *(peer.ask(request(sounds.camera("wav"), language="en")) for _ in range(num_requests))
    )

    taken = (await peer.next_stats()).engine.steps - before
    assert taken - 2 * num_requests < num_requests  # two steps of each request prepare its sound


async def test_language_may_be_given(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.FOLDER / "german.mp3", language="de"))

    info = answer.events[1]
    assert isinstance(info, TranscriptInfo)
    assert (info.language, info.language_probability) == ("de", 1.0)


async def test_language_that_the_model_does_not_know_is_refused(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.camera("wav"), language="xx"))

    assert not answer.is_accepted
    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "language")


@pytest.mark.parametrize(
    "prompt",
    [
        "  ",
        "camera cellar",
        "words " * 2000,
        "<|startoftranscript|><|de|><|translate|><|0.00|><|endoftext|>",
        "\x00 ünïcode \U0001f600",
    ],
)
async def test_any_prompt_is_only_text(peer: Peer, prompt: str) -> None:
    answer = await peer.ask(request(sounds.camera("wav"), prompt=prompt))

    assert not isinstance(answer.end, Failed)
    assert "<|" not in text(answer)


async def test_given_temperature_is_the_only_one(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.camera("wav"), temperature=0.3))

    assert {segment.temperature for segment in segments(answer)} <= {0.3}


async def test_silence_has_no_text(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "silence"
    path.write_bytes(sounds.silence(5))

    answer = await peer.ask(request(path))

    assert segments(answer) == []
    assert answer.usage.audio_s == pytest.approx(5, abs=0.3)


async def test_voice_of_a_probe_reaches_the_model_and_silence_does_not(peer: Peer, tmp_path: Path) -> None:
    taken: list[int] = []
    for name, samples in (("silence", bytes(32000)), ("voice", voice())):
        path = tmp_path / f"{name}.wav"
        path.write_bytes(sounds.wav(samples))
        before = (await peer.next_stats()).engine.steps
        assert (await peer.ask(request(path))).usage
        taken.append((await peer.next_stats()).engine.steps - before)

    silent, spoken = taken
    assert spoken > silent + 1  # one more prepares its window, the rest is the model


async def test_two_sentences_keep_their_places(peer: Peer) -> None:
    answer = await peer.ask(request(sounds.FOLDER / "two_sentences.ogg"))

    assert share_of_words(" ".join(sounds.TWO_SENTENCES), text(answer)) > 0.6
    found = segments(answer)
    assert found[0].start_s < 1.0
    assert all(before.start_s <= after.start_s for before, after in pairwise(found))


@pytest.mark.parametrize("name", sounds.bad_files())
async def test_bad_file_harms_nobody(worker: Worker, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content, words = sounds.bad_files()[name]
    path.write_bytes(content)

    answer = await worker[1].ask(request(path))

    assert not answer.is_accepted
    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "file")
    assert words in answer.failure.message
    assert worker[0].process.poll() is None


async def test_vanished_file_is_no_fault_of_the_client(peer: Peer, tmp_path: Path) -> None:
    answer = await peer.ask(TranscribeRequest(AudioFile(str(tmp_path / "gone"), 1)))

    assert (answer.failure.code, answer.failure.message) == (
        ErrorCode.BACKEND_ERROR,
        "the uploaded file is gone",
    )


async def test_cancel_stops_a_long_file(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(sounds.repeated(sounds.camera("wav"), seconds=600))
    running = peer.start(request(path))
    while not isinstance(await running.next(), Segment):
        pass

    running.cancel()
    answer = await running.answer()
    before = (await peer.next_stats()).engine
    after = (await peer.next_stats()).engine

    assert isinstance(answer.end, Failed)
    assert (after.running, after.waiting) == (0, 0)
    assert after.steps - before.steps <= 2  # what had begun ends, no more


async def test_cancel_while_decoding_leaves_nothing_running(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "silence"
    path.write_bytes(sounds.silence(MAX_AUDIO_S - 1))
    running = peer.start(request(path))

    running.cancel()
    answer = await running.answer()

    assert isinstance(answer.end, Failed)
    assert (await peer.next_stats()).engine.running == 0


async def test_without_a_search_for_speech_long_files_are_cut_where_it_is_quiet(tmp_path: Path) -> None:
    if not WEIGHTS.is_dir():
        pytest.skip("no starter/transcribe")
    path = tmp_path / "long"
    path.write_bytes(sounds.repeated(sounds.camera("wav"), seconds=20))
    without_vad = spec(vad=False, window_s=4.0, beam_size=1, temperatures=(0.0,))

    async with running(tmp_path, without_vad, engines_python()) as (_, peer):
        answer = await peer.ask(request(path))

    starts = [math.floor(segment.start_s) for segment in segments(answer)]
    assert len(starts) >= 4
    assert starts == sorted(starts)
    assert share_of_words(sounds.SPOKEN, text(answer)) > 0.6
