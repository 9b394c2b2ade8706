"""Real engines on a CPU really give their weights back, and answer as before when they are awake again.

`pytest --log-cli-level=INFO tests/engines/test_sleep.py` shows what was measured.
"""

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from engines.contract.embed import EmbedRequest, RerankRequest
from engines.contract.image import ImageRequest
from engines.contract.memory import weights_size_bytes
from engines.contract.requests import Request as AnyRequest
from engines.contract.spec import BackendSpec
from engines.contract.speech import SpeechRequest
from engines.contract.transcribe import AudioFile, TranscribeRequest
from tests.engines import test_whisper_transcribe as whisper
from tests.engines.coqui_models import speech_spec
from tests.engines.images import image_spec
from tests.engines.in_engines import run_module
from tests.engines.sleeping import MIB, Subject, subject
from tests.engines.sounds import camera
from tests.engines.text_models import embed_spec, rerank_spec

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]
_log = logging.getLogger(__name__)

NUM_CYCLES = 10
GROWTH_MIB = 16  # what a process may gain in all cycles together; one model left behind would be 100
NOISE_MIB = 16


class Case(NamedTuple):
    """A model of about 100 MB, and a request to it whose answer is always the same."""

    kind: str
    spec: Callable[[Path], BackendSpec]
    request: AnyRequest


def one_voice(weights: Path) -> BackendSpec:
    return speech_spec(weights, voices={"anna": {"speaker": "p1"}})


CASES = [
    Case("embed", embed_spec, EmbedRequest(("a cat sat", "hello"))),
    Case("rerank", rerank_spec, RerankRequest("cat", ("a cat sat", "hello"))),
    Case("image", image_spec, ImageRequest("a red circle", seed=7)),
    Case("speech", one_voice, SpeechRequest("Hello there.", audio_format="wav", seed=1)),
]


@pytest.fixture(params=CASES, ids=[case.kind for case in CASES], scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def weights(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(case.kind) / "model"
    run_module("tests.engines.make_heavy_models", case.kind, str(folder))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(
    case: Case, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Subject]:
    async with subject(tmp_path_factory.mktemp("worker"), case.spec(weights)) as started:
        yield started


async def test_weights_leave_the_host_and_come_back_with_the_same_answers(
    case: Case, weights: Path, worker: Subject
) -> None:
    before = await worker.ask(case.request)

    rung = await worker.climb()
    after = await worker.ask(case.request)

    size = weights_size_bytes(str(weights)) / MIB
    _log.info("%s, %.0f MiB of weights: %s", case.kind, size, rung)
    assert before == after
    assert rung.freed_bytes > 0.9 * weights_size_bytes(str(weights)) - NOISE_MIB * MIB
    assert rung.wake_s < rung.cold_start_s
    assert rung.awake_bytes - rung.hot_bytes < NOISE_MIB * MIB


async def test_many_cycles_leave_nothing_behind(case: Case, worker: Subject) -> None:
    before = await worker.ask(case.request)
    hot, asleep = [], []
    for _ in range(NUM_CYCLES):
        await worker.sleep()
        asleep.append(worker.held_bytes() / MIB)
        await worker.wake()
        hot.append(worker.held_bytes() / MIB)
        assert before == await worker.ask(case.request)

    _log.info("%s: hot %s MiB, asleep %s MiB", case.kind, _course(hot), _course(asleep))
    assert asleep[-1] - asleep[1] < GROWTH_MIB
    assert hot[-1] - hot[1] < GROWTH_MIB


async def test_sleep_waits_for_what_a_cancelled_request_left_on_the_thread(
    case: Case, worker: Subject
) -> None:
    before = await worker.ask(case.request)
    request = worker.peer.start(case.request)
    await request.next()

    request.cancel()
    await worker.sleep()
    await worker.wake()

    assert before == await worker.ask(case.request)


async def test_hearing_gives_its_weights_and_its_decoder_back(tmp_path: Path) -> None:
    file = camera("wav")
    request = TranscribeRequest(AudioFile(str(file), file.stat().st_size))
    async with subject(tmp_path, whisper.spec()) as worker:
        before = await worker.ask(request)
        rungs = [await worker.climb() for _ in range(NUM_CYCLES)]
        after = await worker.ask(request)

        _log.info("transcribe: %s; last: %s", rungs[0], rungs[-1])
        assert before == after
        assert rungs[0].freed_bytes > weights_size_bytes(str(whisper.WEIGHTS))
        assert rungs[-1].asleep_bytes - rungs[1].asleep_bytes < GROWTH_MIB * MIB


def _course(sizes: list[float]) -> str:
    return " ".join(f"{size:.0f}" for size in sizes)
