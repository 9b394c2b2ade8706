"""Embeddings and reranking of a running server, with OpenAI's SDK and plain HTTP, and the example program."""

import base64
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import ROOT, RunningServer, start
from tests.engines.conftest import engines_python
from tests.engines.text_models import SIZE, make_text_models

pytestmark = pytest.mark.engines

BACKEND = """\
engine: {engine}
modality: {modality}
frontends: [test/{name}]
weights: weights/{name}
licence: none
context_window: 32
capabilities: {{dimensions: true}}
options: {{omp_num_threads: 1}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two backends with tiny models, which load when they are first asked."""
    folder = tmp_path_factory.mktemp("hearth")
    make_text_models(folder / "models/weights", engines_python())
    for name, engine, modality in (("embed", "st_embed", "embedding"), ("rerank", "st_rerank", "rerank")):
        text = BACKEND.format(name=name, engine=engine, modality=modality)
        (folder / f"models/{name}.yaml").write_text(text)
    running = start(
        folder / "data",
        folder / "server.log",
        models_dir=str(folder / "models"),
        engines_python=engines_python(),
    )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[OpenAI]:
    http_client = openai.DefaultHttpxClient(trust_env=False, timeout=300)
    url = f"{server.url}/oai/v1"
    with OpenAI(base_url=url, api_key=server.key, max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_sdk_gets_the_same_numbers_in_both_encodings(client: OpenAI) -> None:
    """Without a format the SDK asks for base64 and decodes it."""
    decoded = client.embeddings.create(model="test/embed", input=["a cat", "two dogs"])
    plain = client.embeddings.create(model="test/embed", input=["a cat", "two dogs"], encoding_format="float")

    assert [entry.index for entry in plain.data] == [0, 1]
    assert [len(entry.embedding) for entry in plain.data] == [SIZE, SIZE]
    assert [entry.embedding for entry in decoded.data] == [entry.embedding for entry in plain.data]
    assert decoded.usage.prompt_tokens == decoded.usage.total_tokens == (2 + 4) + (2 + 7)


def test_shortened_vectors_have_unit_length(client: OpenAI) -> None:
    answer = client.embeddings.create(model="test/embed", input="a cat", dimensions=7)

    vector = answer.data[0].embedding
    assert len(vector) == 7
    assert sum(number**2 for number in vector) == pytest.approx(1, abs=1e-5)


def test_sdk_raises_for_text_that_is_too_long(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="test/embed", input=["ok", "a " * 40])

    assert caught.value.param == "input.1"
    assert "42 tokens" in str(caught.value)


def test_native_embed_in_the_envelope(http: httpx.Client) -> None:
    body = {"model": "test/embed", "input": "a cat", "task": "query", "encoding_format": "base64"}
    answer = http.post("/v1/inference/embed", json=body)

    assert answer.headers["x-scaigrid-model"] == "test/embed"
    assert answer.headers["x-scaigrid-backend"] == "be_embed"
    data = answer.json()["data"]
    assert len(struct.unpack(f"<{SIZE}f", base64.b64decode(data["data"][0]["embedding"]))) == SIZE
    assert data["usage"] == {"prompt_tokens": 12, "total_tokens": 12}


EMBED_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": ["a", ""]}, "input.1"),
    ({"input": ["a"] * 2049}, "input"),
    ({"input": [1, 2]}, "input"),
    ({"input": [["a"]]}, "input"),
    ({"input": "\ud800"}, "body"),
    ({"input": "a " * 40}, "input"),
    ({"input": "x" * 100_000}, "input"),
    ({"dimensions": 0}, "dimensions"),
    ({"dimensions": SIZE + 1}, "dimensions"),
    ({"encoding_format": "hex"}, "encoding_format"),
    ({"task": "dance"}, "task"),
    ({"model": "test/rerank"}, "model"),
]


@pytest.mark.parametrize(("change", "field"), EMBED_MISTAKES)
def test_wrong_input_is_refused_by_name(http: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = {"model": "test/embed", "input": "a cat"} | change

    native = post(http, "/v1/inference/embed", body)
    aliased = post(http, "/v1/embeddings", body)

    assert (native.status_code, native.json()["error"]["details"][0]["field"]) == (422, field)
    assert (aliased.status_code, aliased.json()["error"]["param"]) == (400, field)


RERANK_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"query": ""}, "query"),
    ({"query": "q " * 40}, "query"),
    ({"documents": []}, "documents"),
    ({"documents": ["ok", "b " * 40]}, "documents.1"),
    ({"documents": [{"title": "x"}]}, "documents.0.text"),
    ({"top_n": 0}, "top_n"),
    ({"rank_fields": ["title"]}, "rank_fields"),
    ({"model": "test/embed"}, "model"),
]


@pytest.mark.parametrize(("change", "field"), RERANK_MISTAKES)
def test_wrong_rerank_is_refused_by_name(http: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = {"model": "test/rerank", "query": "cats", "documents": ["a"]} | change

    native = post(http, "/v1/inference/rerank", body)
    shaped = post(http, "/v1/rerank", body)

    assert (native.status_code, native.json()["error"]["details"][0]["field"]) == (422, field)
    assert (shaped.status_code, shaped.json()["error"]["param"]) == (400, field)


def post(http: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    """Also lone surrogates, as an escape."""
    headers = {"content-type": "application/json"}
    return http.post(path, content=json.dumps(body).encode(), headers=headers)


def test_rerank_is_the_same_in_both_dialects(http: httpx.Client) -> None:
    body = {
        "model": "test/rerank",
        "query": "cats",
        "documents": ["a cat", {"text": "two dogs"}, "three"],
        "top_n": 2,
        "return_documents": True,
    }

    native = http.post("/v1/inference/rerank", json=body).json()["data"]
    shaped = http.post("/oai/v1/rerank", json=body).json()

    assert native["results"] == shaped["results"]
    scores = [result["relevance_score"] for result in shaped["results"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    documents = ["a cat", "two dogs", "three"]
    assert all(r["document"]["text"] == documents[r["index"]] for r in shaped["results"])
    assert shaped["meta"]["tokens"]["input_tokens"] == native["usage"]["prompt_tokens"]


def test_chat_with_an_embedding_model_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="test/embed", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.param == "model"


def test_example_program_finds_the_passage_itself(server: RunningServer, tmp_path: Path) -> None:
    """A random model knows no meaning, but the same words have the same vector."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "bread.txt").write_text("knead the dough")
    (tmp_path / "deep/train.txt").write_text("the night train")
    (tmp_path / "empty.txt").write_text("")
    command = [sys.executable, str(ROOT / "examples/semantic_search.py"), str(tmp_path), "the night train"]
    command += ["--url", server.url, "--key", server.key, "--model", "test/embed", "--top", "1"]

    first = subprocess.run(command, capture_output=True, text=True, check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    reranked = subprocess.run(
        [*command, "--rerank", "test/rerank"], capture_output=True, text=True, check=True
    )

    assert first.stdout == "1.000  deep/train.txt\n       the night train\n\n"
    assert again.stdout == first.stdout
    assert len(reranked.stdout.splitlines()) == 3
