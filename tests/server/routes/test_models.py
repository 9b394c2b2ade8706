"""The native model listing."""

import httpx
import pytest

from server.caller import Permission
from server.workers.status import WorkerState
from tests.fakes.fake_supervisor import backend_status
from tests.fakes.surface import REQUEST_ID, Surface


async def slugs(client: httpx.AsyncClient, **query: str | int) -> list[str]:
    answer = await client.get("/v1/models", params=query)
    return [item["slug"] for item in answer.json()["data"]["items"]]


async def test_list_is_sorted_by_slug_and_paged(client: httpx.AsyncClient) -> None:
    first = (await client.get("/v1/models", params={"limit": 2})).json()

    second = (await client.get("/v1/models", params={"cursor": first["pagination"]["next_cursor"]})).json()

    pages = [[item["slug"] for item in page["data"]["items"]] for page in (first, second)]
    assert pages == [["a/one", "a/two"], ["b/one"]]
    assert first["pagination"]["has_more"] is True
    assert second["pagination"] == {"has_more": False, "next_cursor": None}
    assert first["meta"] == {"request_id": REQUEST_ID}


async def test_item_shows_limits_state_and_capabilities(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/models")

    assert answer.json()["data"]["items"][0] == {
        "slug": "a/one",
        "display_name": "a/one",
        "description": None,
        "modality": "chat",
        "context_window": 256,
        "max_output_tokens": 64,
        "status": "active",
        "health_status": "healthy",
        "active_backend_count": 1,
        "total_backend_count": 1,
        "capabilities": {
            "tools": True,
            "structured_output": True,
            "reasoning": False,
            "vision": False,
            "audio_input": False,
            "dimensions": False,
            "transcribe": False,
            "translate": False,
            "synthesize": False,
            "stream": True,
        },
        "licence": "none",
        "memory_estimate_bytes": 350,
        "replicas": [{"backend_id": "be_a", "state": "ready", "health_status": "healthy"}],
        "state": "ready",
        "state_since": "2026-01-02T03:04:05Z",
        "state_detail": None,
        "memory_bytes": 1000,
        "device_memory_bytes": None,
        "last_error": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"modality": "chat"}, ["a/one", "a/two", "b/one"]),
        ({"modality": "embedding"}, []),
        ({"modality": "rerank"}, []),
        ({"status": "active"}, ["a/one", "a/two", "b/one"]),
        ({"status": "deprecated"}, []),
    ],
)
async def test_filters(client: httpx.AsyncClient, query: dict[str, str], expected: list[str]) -> None:
    assert await slugs(client, **query) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "many"),
        ("cursor", "!"),
        ("modality", "smell"),
        ("status", "new"),
    ],
)
async def test_wrong_query_is_refused_by_name(client: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await client.get("/v1/models", params={name: value})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == name


async def test_key_sees_only_the_models_it_may_use(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.models = frozenset({"a/two"})

    assert await slugs(client) == ["a/two"]


@pytest.mark.parametrize("path", ["a/one", "a%2Fone"])
async def test_one_model_by_raw_or_encoded_slug(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/v1/models/{path}")

    assert answer.status_code == 200
    assert answer.json()["data"]["slug"] == "a/one"


@pytest.mark.parametrize("path", ["a/three", "a", "nothing%20here", "be_a"])
async def test_unknown_model(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/v1/models/{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MODEL_NOT_FOUND")


async def test_model_of_other_keys(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.models = frozenset({"a/two"})

    answer = await client.get("/v1/models/a/one")

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MODEL_ACCESS_DENIED")


async def test_failed_model_says_so(surface: Surface, client: httpx.AsyncClient) -> None:
    failed = backend_status("be_b", WorkerState.FAILED, last_error="The weights are missing")
    surface.supervisor.states["be_b"] = failed

    card = (await client.get("/v1/models/b/one")).json()["data"]

    assert (card["health_status"], card["state"]) == ("unhealthy", "failed")
    assert card["last_error"] == "The weights are missing"
    assert "max_output_tokens" not in card


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/a/one"])
async def test_listing_needs_models_list(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    surface.permissions = frozenset({Permission.MODELS_USE})

    answer = await client.get(path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHZ_PERMISSION_DENIED")
