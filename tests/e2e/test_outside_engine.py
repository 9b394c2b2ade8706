"""A new engine is one file: written here, outside the repository, named in a YAML, served in both dialects."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.e2e.conftest import RunningServer, start

ENGINE = '''
"""Counts letters: a vector for every text, with one number for each letter of the alphabet."""

import array
import string

import msgspec

from engines.contract.embed import Vectors
from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.types import Usage

HAS_WEIGHTS = False


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alphabet: str = string.ascii_lowercase


class Engine:
    def __init__(self, spec, options):
        self._alphabet = options.alphabet

    async def load(self, report):
        report("loading", "the alphabet")

    async def warm_up(self):
        return

    async def embed(self, request, priority):
        if request.dimensions is not None:
            raise EngineError(ErrorCode.VALIDATION_ERROR, "cannot be chosen", field="dimensions")
        return self._count(request)

    async def _count(self, request):
        for number, text in enumerate(request.inputs):
            counts = array.array("f", (text.lower().count(letter) for letter in self._alphabet))
            yield Vectors(number, len(counts), counts.tobytes())
        yield Usage(sum(len(text.split()) for text in request.inputs), 0)

    async def check_health(self):
        return

    def stats(self):
        return EngineStats()

    async def close(self):
        return
'''
BACKEND = """\
engine: throwaway.letters
modality: embedding
frontends: [mine/letters]
weights: .
licence: none
context_window: 100
options: {alphabet: abc}
"""


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("outside")
    package = folder / "somewhere/throwaway"
    package.mkdir(parents=True)
    (package / "letters.py").write_text(ENGINE)
    models = folder / "models"
    models.mkdir()
    (models / "letters.yaml").write_text(BACKEND)
    running = start(
        folder / "data",
        folder / "server.log",
        python_path=package.parent,
        models_dir=str(models),
        engines_python=sys.executable,
    )
    yield running
    assert running.stop() == 0


def test_engine_of_ones_own_answers_in_both_dialects(letters: RunningServer) -> None:
    with letters.client() as client:
        native = client.post("/v1/inference/embed", json={"model": "mine/letters", "input": "Abba"}).json()
    sdk = openai.OpenAI(base_url=f"{letters.url}/oai/v1", api_key=letters.key)

    answer = sdk.embeddings.create(model="mine/letters", input=["cab", "x"])

    assert native["data"]["data"][0]["embedding"] == [2.0, 2.0, 0.0]
    assert [item.embedding for item in answer.data] == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert answer.usage.prompt_tokens == 2


def test_it_is_listed_with_its_state(letters: RunningServer) -> None:
    with letters.client() as client:
        client.post("/v1/inference/embed", json={"model": "mine/letters", "input": "a"}).raise_for_status()
        (card,) = client.get("/v1/models").json()["data"]["items"]

    assert (card["modality"], card["state"]) == ("embedding", "ready")


def test_other_modalities_refuse_it_by_name(letters: RunningServer) -> None:
    body = {"model": "mine/letters", "messages": [{"role": "user", "content": "hi"}]}

    with letters.client() as client:
        refusal: httpx.Response = client.post("/v1/inference/chat", json=body)

    assert refusal.status_code == 422
    assert refusal.json()["error"]["details"][0]["field"] == "model"


def test_mistake_in_its_options_stops_the_start(tmp_path: Path) -> None:
    package = tmp_path / "throwaway"
    package.mkdir()
    (package / "letters.py").write_text(ENGINE)
    models = tmp_path / "models"
    models.mkdir()
    (models / "letters.yaml").write_text(BACKEND.replace("alphabet", "alphabeth"))

    with pytest.raises(AssertionError, match="did you mean `alphabet`"):
        start(tmp_path / "data", tmp_path / "log", python_path=tmp_path, models_dir=str(models))
