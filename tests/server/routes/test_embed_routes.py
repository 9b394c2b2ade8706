"""The routes of embeddings and reranking over a fake gateway, in both dialects."""

import base64
import struct
from typing import Any

import httpx
import pytest

from engines.contract.embed import EmbedRequest, RerankRequest, Scores, Vectors
from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.errors import ServiceError
from tests.fakes.surface import REQUEST_ID, Surface

EMBED: dict[str, Any] = {"model": "a/one", "input": ["x", "y"]}
RERANK: dict[str, Any] = {"model": "a/one", "query": "q", "documents": ["x", {"text": "y"}]}
NUMBERS = struct.pack("<4f", 1.0, 0.0, 0.0, 1.0)
NATIVE = [("/v1/inference/embed", EMBED), ("/v1/inference/rerank", RERANK)]
OPENAI = [
    ("/oai/v1/embeddings", EMBED),
    ("/v1/embeddings", EMBED),
    ("/oai/v1/rerank", RERANK),
    ("/v1/rerank", RERANK),
]
EVERY = pytest.mark.parametrize(("path", "body"), NATIVE + OPENAI)


@pytest.fixture
def vectors(surface: Surface) -> None:
    surface.gateway.batches = [[Vectors(1, 2, NUMBERS[8:])], [Vectors(0, 2, NUMBERS[:8])]]


@pytest.fixture
def scores(surface: Surface) -> None:
    surface.gateway.batches = [[Scores(0, (0.25, 0.75))]]


@pytest.mark.usefixtures("vectors")
async def test_native_embed_answers_in_the_envelope(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/inference/embed", json=EMBED)

    body = answer.json()
    assert (answer.status_code, body["status"], body["meta"]) == (200, "ok", {"request_id": REQUEST_ID})
    assert [entry["embedding"] for entry in body["data"]["data"]] == [[1.0, 0.0], [0.0, 1.0]]
    assert body["data"]["model"] == "a/one"
    assert surface.gateway.asked == [("a/one", EmbedRequest(("x", "y")))]


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize("path", ["/oai/v1/embeddings", "/v1/embeddings"])
async def test_openai_embeddings_have_no_envelope(client: httpx.AsyncClient, path: str) -> None:
    body = (await client.post(path, json=EMBED | {"encoding_format": "base64"})).json()

    assert body["object"] == "list"
    assert base64.b64decode(body["data"][1]["embedding"]) == NUMBERS[8:]


@pytest.mark.usefixtures("scores")
async def test_native_rerank_answers_in_the_envelope(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/inference/rerank", json=RERANK | {"return_documents": True, "top_n": 1})

    assert answer.json()["data"]["results"] == [
        {"index": 1, "relevance_score": 0.75, "document": {"text": "y"}}
    ]
    assert surface.gateway.asked == [("a/one", RerankRequest("q", ("x", "y")))]


@pytest.mark.usefixtures("scores")
@pytest.mark.parametrize("path", ["/oai/v1/rerank", "/v1/rerank"])
async def test_rerank_in_coheres_shape(client: httpx.AsyncClient, path: str) -> None:
    body = (await client.post(path, json=RERANK)).json()

    assert body["id"].startswith("rerank-")
    assert [result["index"] for result in body["results"]] == [1, 0]
    assert body["meta"]["tokens"]["input_tokens"] == 3


@EVERY
@pytest.mark.usefixtures("vectors")
async def test_answer_names_model_and_backend(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(path, json=body)

    assert answer.headers["x-scaigrid-model"] == "a/one"
    assert answer.headers["x-scaigrid-backend"] == "be_fake"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "body"), NATIVE)
async def test_wrong_body_is_422_natively(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(path, json=body | {"truncate": "END"})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == [{"field": "truncate", "message": "must be true or false"}]
    assert surface.gateway.asked == []


@pytest.mark.parametrize(("path", "body"), OPENAI)
async def test_wrong_body_is_400_in_openais_shape(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await client.post(path, json=body | {"truncate": "END"})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "truncate"
    assert surface.gateway.asked == []


@pytest.mark.parametrize("path", ["/oai/v1/embeddings", "/v1/embeddings"])
async def test_token_ids_are_refused_by_name(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=EMBED | {"input": [1, 2]})

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "input")
    assert error["message"].endswith("token ids are not supported")


@EVERY
async def test_failure_on_the_way_is_an_ordinary_error(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.gateway.batches = [ServiceError(ErrorCode.BACKEND_ERROR, "The worker died")]

    answer = await client.post(path, json=body)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "BACKEND_ERROR"


@EVERY
async def test_key_without_models_use_is_refused(
    surface: Surface, client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    assert (await client.post(path, json=body)).status_code == 403
    assert surface.gateway.asked == []
