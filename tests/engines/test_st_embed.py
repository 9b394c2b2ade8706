"""Embeddings by a real worker with a tiny model, compared with the bare library."""

import array
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.contract.embed import EmbedRequest, RerankRequest, Vectors
from engines.contract.errors import ErrorCode
from engines.contract.frames import LoadFailed
from engines.contract.options import engine_module, parse_options
from engines.contract.types import Priority, Usage
from tests.engines.conftest import engines_python
from tests.engines.running_worker import Answer, Peer, RunningWorker, running
from tests.engines.text_models import SIZE, BareLibrary, embed_spec, make_text_models

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

TEXTS = ("a cat sat", "hello", " two  words ", "q", "Where is it?")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_text_models(folder, engines_python())
    return folder / "embed"


@pytest.fixture(scope="module")
def bare(weights: Path) -> Iterator[BareLibrary]:
    library = BareLibrary(weights, engines_python())
    yield library
    library.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    spec = embed_spec(weights, prompts={"clustering": "c: "}, max_batch_tokens=256)
    async with running(tmp_path_factory.mktemp("embed"), spec, engines_python()) as (_, peer):
        yield peer


def vectors(answer: Answer) -> list[list[float]]:
    """By input; fails if a part is missing or comes twice."""
    found: dict[int, list[float]] = {}
    for item in answer.items:
        assert isinstance(item, Vectors)
        numbers = array.array("f", item.data).tolist()
        for row in range(len(numbers) // item.dimensions):
            assert item.first + row not in found
            found[item.first + row] = numbers[row * item.dimensions : (row + 1) * item.dimensions]
    return [found[index] for index in range(len(found))]


def close_to(expected: Any) -> Any:
    return [pytest.approx(row, abs=1e-5) for row in expected]


async def test_vectors_are_those_of_the_bare_library(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(EmbedRequest(TEXTS))

    assert close_to(bare.encode(TEXTS)) == vectors(answer)
    assert answer.usage == Usage(sum(2 + len(text.replace(" ", "")) for text in TEXTS), 0)


async def test_vector_is_the_same_alone_and_in_company(peer: Peer) -> None:
    together = vectors(await peer.ask(EmbedRequest(TEXTS)))

    alone = [vectors(answer)[0] for answer in [await peer.ask(EmbedRequest((text,))) for text in TEXTS]]

    assert close_to(alone) == together


async def test_task_puts_the_models_prompt_before_each_text(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(EmbedRequest(("a", "b"), task="query"))

    assert close_to(bare.encode(("a", "b"), "query: ")) == vectors(answer)
    assert answer.usage.prompt_tokens == 2 * (2 + len("query:") + 1)


async def test_task_of_the_options(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(EmbedRequest(("a",), task="clustering"))

    assert close_to(bare.encode(("a",), "c: ")) == vectors(answer)


async def test_unknown_task_is_refused_with_those_there_are(peer: Peer) -> None:
    failure = (await peer.ask(EmbedRequest(("a",), task="dance"))).failure

    assert (failure.code, failure.field) == (ErrorCode.VALIDATION_ERROR, "task")
    assert failure.message == "task must be one that this model knows: clustering, document, query"


async def test_shorter_vectors_have_unit_length(peer: Peer) -> None:
    whole = vectors(await peer.ask(EmbedRequest(TEXTS)))

    short = vectors(await peer.ask(EmbedRequest(TEXTS, dimensions=5)))

    assert [sum(number**2 for number in row) for row in short] == pytest.approx([1.0] * 5, abs=1e-5)
    lengths = [sum(number**2 for number in row[:5]) ** 0.5 for row in whole]
    rows = zip(whole, lengths, strict=True)
    assert close_to([[number / length for number in row[:5]] for row, length in rows]) == short


async def test_more_dimensions_than_there_are_is_refused(peer: Peer) -> None:
    failure = (await peer.ask(EmbedRequest(("a",), dimensions=SIZE + 1))).failure

    assert (failure.field, failure.message) == ("dimensions", "dimensions must be at most 32 for this model")


@pytest.mark.parametrize(
    ("inputs", "field"), [(("a " * 31,), "input"), (("ok", "a " * 31), "input.1")], ids=["alone", "in a list"]
)
async def test_text_that_is_too_long_is_refused_with_both_numbers(
    peer: Peer, inputs: tuple[str, ...], field: str
) -> None:
    answer = await peer.ask(EmbedRequest(inputs))

    assert not answer.is_accepted
    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, field)
    assert "33 tokens" in answer.failure.message
    assert "at most 32" in answer.failure.message


async def test_prompt_counts_towards_the_limit(peer: Peer) -> None:
    assert (await peer.ask(EmbedRequest(("a" * 25,)))).is_accepted
    assert not (await peer.ask(EmbedRequest(("a" * 25,), task="query"))).is_accepted


async def test_text_is_cut_when_that_is_asked_for(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(EmbedRequest(("b " * 500, "ok"), truncate=True))

    assert close_to(bare.encode(("b " * 500, "ok"))) == vectors(answer)
    assert answer.usage.prompt_tokens == 32 + 4


async def test_control_tokens_stay_text(peer: Peer) -> None:
    answer = await peer.ask(EmbedRequest(("[SEP]",)))

    assert answer.usage.prompt_tokens == 2 + len("[SEP]")


async def test_large_request_comes_whole_and_in_order(peer: Peer) -> None:
    texts = tuple(chr(97 + number % 26) * (1 + number % 20) for number in range(2048))

    answer = await peer.ask(EmbedRequest(texts))

    rows = vectors(answer)
    assert len(rows) == 2048
    samples = (0, 19, 1000, 2047)
    alone = [vectors(await peer.ask(EmbedRequest((texts[index],))))[0] for index in samples]
    assert close_to(alone) == [rows[index] for index in samples]


async def test_small_request_does_not_wait_for_a_large_one(peer: Peer) -> None:
    large = peer.start(EmbedRequest(("a" * 29,) * 2048))
    await large.next()
    small = await peer.ask(EmbedRequest(("b",)))

    assert small.usage.prompt_tokens == 3
    assert not large.has_more()
    assert len(vectors(await large.answer())) == 2048


async def test_cancelled_request_is_computed_no_further(peer: Peer) -> None:
    before = (await peer.next_stats()).engine
    large = peer.start(EmbedRequest(("a" * 29,) * 2048), Priority.BATCH)
    await large.next()

    large.cancel()
    assert (await large.answer()).failure.message == "cancelled"

    async with asyncio.timeout(10):  # a batch that had begun is computed to its end
        while (after := (await peer.next_stats()).engine) and after.running + after.waiting:
            continue
    assert after.steps - before.steps < 2048 / (256 // 32)


async def test_many_requests_share_batches(peer: Peer) -> None:
    before = (await peer.next_stats()).engine.steps

    answers = await asyncio.gather(*(peer.ask(EmbedRequest((text,))) for text in "abcdefghijkl" * 10))

    assert all(answer.usage.prompt_tokens == 3 for answer in answers)
    assert (await peer.next_stats()).engine.steps - before < 60


async def test_request_of_another_kind_is_refused(peer: Peer) -> None:
    failure = (await peer.ask(RerankRequest("a", ("b",)))).failure

    assert (failure.code, failure.field) == (ErrorCode.VALIDATION_ERROR, "model")


@pytest.mark.parametrize(
    ("context_window", "options", "words"),
    [
        (64, {}, "context_window is 64, but it reads at most 32 tokens"),
        (32, {"max_length": 65}, "max_length is 65, but it has places for 64 tokens only"),
        (32, {"default_task": "dance"}, "default_task is `dance`, which has no prompt"),
    ],
)
async def test_configuration_that_cannot_work_is_refused_for_good(
    weights: Path, tmp_path: Path, context_window: int, options: dict[str, Any], words: str
) -> None:
    worker = RunningWorker(tmp_path, engines_python())
    try:
        peer = await worker.supervise(embed_spec(weights, context_window=context_window, **options))
        outcome = await peer.wait_ready()
    finally:
        await worker.aclose()

    assert isinstance(outcome, LoadFailed)
    assert outcome.permanent
    assert words in outcome.message


async def test_max_length_uses_places_that_the_models_files_leave(weights: Path, tmp_path: Path) -> None:
    spec = embed_spec(weights, context_window=64, max_length=64, default_task="query")

    async with running(tmp_path, spec, engines_python()) as (_, peer):
        answer = await peer.ask(EmbedRequest(("a" * 56,)))

    assert answer.usage.prompt_tokens == 64


async def test_estimate_counts_weights_and_a_full_batch(weights: Path) -> None:
    module = engine_module("st_embed")
    spec = embed_spec(weights)

    small, large = (
        module.estimate(spec, parse_options("st_embed", {"max_batch_tokens": tokens}))
        for tokens in (1024, 2048)
    )

    assert small.weights_bytes == (weights / "model.safetensors").stat().st_size
    assert large.working_bytes - small.working_bytes == 1024 * 16 * SIZE * 4
