"""Reranking by a real worker with a tiny model, compared with the bare library."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from engines.contract.embed import RerankRequest, Scores
from engines.contract.errors import ErrorCode
from engines.contract.types import Usage
from tests.engines.conftest import engines_python
from tests.engines.running_worker import Answer, Peer, running
from tests.engines.text_models import BareLibrary, make_text_models, rerank_spec

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = ("a cat sat", "hello", "two words", "q")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_text_models(folder, engines_python())
    return folder / "rerank"


@pytest.fixture(scope="module")
def bare(weights: Path) -> Iterator[BareLibrary]:
    library = BareLibrary(weights, engines_python())
    yield library
    library.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    folder = tmp_path_factory.mktemp("rerank")
    async with running(folder, rerank_spec(weights), engines_python()) as (_, peer):
        yield peer


def scores(answer: Answer) -> list[float]:
    (item,) = answer.items
    assert isinstance(item, Scores)
    assert item.first == 0
    return list(item.scores)


async def test_scores_are_those_of_the_bare_library(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(RerankRequest("cats", DOCUMENTS))

    assert pytest.approx(bare.predict("cats", DOCUMENTS), abs=1e-5) == scores(answer)
    assert answer.usage == Usage(sum(3 + 4 + len(text.replace(" ", "")) for text in DOCUMENTS), 0)


async def test_score_is_the_same_alone_and_in_company(peer: Peer) -> None:
    together = scores(await peer.ask(RerankRequest("cats", DOCUMENTS)))

    alone = [scores(await peer.ask(RerankRequest("cats", (document,))))[0] for document in DOCUMENTS]

    assert pytest.approx(alone, abs=1e-5) == together


async def test_pair_is_cut_when_that_is_asked_for(peer: Peer, bare: BareLibrary) -> None:
    answer = await peer.ask(RerankRequest("cats", ("b " * 100,), truncate=True))

    assert pytest.approx(bare.predict("cats", ("b " * 100,)), abs=1e-5) == scores(answer)
    assert answer.usage.prompt_tokens == 32


@pytest.mark.parametrize(
    ("query", "documents", "field", "num_tokens"),
    [("cats", ("ok", "b" * 40), "documents.1", 47), ("c" * 40, ("ok",), "query", 43)],
    ids=["document", "query"],
)
async def test_what_is_too_long_is_refused_by_name_with_both_numbers(
    peer: Peer, query: str, documents: tuple[str, ...], field: str, num_tokens: int
) -> None:
    failure = (await peer.ask(RerankRequest(query, documents))).failure

    assert (failure.code, failure.field) == (ErrorCode.VALIDATION_ERROR, field)
    assert f"{num_tokens} tokens" in failure.message
    assert "at most 32" in failure.message
