"""Backends for those who manage models."""

import httpx
import pytest

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.errors import ServiceError
from server.workers.health import Outcome
from tests.fakes.surface import Surface


async def test_list_shows_the_worker_of_every_backend(client: httpx.AsyncClient) -> None:
    items = (await client.get("/v1/backends")).json()["data"]["items"]

    assert [(item["backend_id"], item["state"]) for item in items] == [("be_a", "ready"), ("be_b", "stopped")]
    assert items[0]["models"] == ["a/two", "a/one"]
    assert (items[0]["rss_bytes"], items[0]["load_s"]) == (1000, 1.5)


@pytest.mark.parametrize(("command", "state"), [("load", "starting"), ("stop", "draining")])
async def test_command_reaches_the_supervisor_and_shows_the_new_state(
    surface: Surface, client: httpx.AsyncClient, command: str, state: str
) -> None:
    answer = await client.post(f"/v1/backends/be_b/{command}")

    assert answer.status_code == 202
    assert answer.json()["data"]["state"] == state
    assert surface.supervisor.told == [(command, "be_b")]


@pytest.mark.parametrize("command", ["load", "stop"])
async def test_unknown_backend(surface: Surface, client: httpx.AsyncClient, command: str) -> None:
    answer = await client.post(f"/v1/backends/be_c/{command}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert surface.supervisor.told == []


async def test_health_of_a_ready_model_tells_its_last_real_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/backends/be_a/health")

    data = answer.json()["data"]
    assert (answer.status_code, answer.json()["status"], data["is_ready"]) == (200, "ok", True)
    assert data["last_answer"] == {
        "at": "2026-01-02T03:04:05Z",
        "age_s": 1.5,
        "took_s": 0.25,
        "source": "request",
    }
    assert (data["worker"]["pid"], data["worker"]["heartbeat_age_s"]) == (123, 0.5)
    assert (data["crashes"]["deaths"], data["crashes"]["max_deaths"]) == (2, 5)
    assert data["probe"] is None


async def test_health_of_a_model_that_is_not_ready_is_an_error_with_data(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/backends/be_b/health")

    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "error")
    assert (body["error"]["code"], body["error"]["message"]) == ("MODEL_UNAVAILABLE", "be_b is stopped")
    assert (body["data"]["state"], body["data"]["is_ready"]) == ("stopped", False)
    assert answer.headers["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (Outcome("answered", 0.25), 200, None),
        (Outcome("busy", 2.0), 200, None),
        (Outcome("timed_out", 2.0), 503, "be_a did not answer within 2 s"),
        (
            Outcome("failed", 0.1, ErrorCode.BACKEND_ERROR, "the engine died"),
            503,
            "be_a did not answer: the engine died",
        ),
        (Outcome("not_ready"), 503, "be_a is ready"),
    ],
)
async def test_probe_decides_the_status(
    surface: Surface, client: httpx.AsyncClient, outcome: Outcome, status: int, words: str | None
) -> None:
    surface.supervisor.outcome = outcome

    answer = await client.get("/v1/backends/be_a/health?probe=true&timeout_s=2")

    assert answer.status_code == status
    assert answer.json().get("error", {}).get("message") == words
    assert answer.json()["data"]["probe"]["outcome"] == outcome.outcome
    assert surface.supervisor.told == [("probe for 2 s", "be_a")]


@pytest.mark.parametrize("permission", [Permission.MODELS_MANAGE, Permission.ADMIN_ACCESS])
async def test_either_permission_of_operators_is_enough(
    surface: Surface, client: httpx.AsyncClient, permission: Permission
) -> None:
    surface.permissions = frozenset({permission})

    assert (await client.get("/v1/backends/be_a/health")).status_code == 200
    assert (await client.get("/v1/backends")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/backends/be_a/health"),
        ("GET", "/v1/backends"),
        ("POST", "/v1/backends/be_a/load"),
        ("POST", "/v1/backends/be_a/stop"),
    ],
)
async def test_managing_needs_models_manage(
    surface: Surface, client: httpx.AsyncClient, method: str, path: str
) -> None:
    surface.permissions = frozenset(Permission) - {Permission.MODELS_MANAGE, Permission.ADMIN_ACCESS}

    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHZ_PERMISSION_DENIED")
    assert surface.supervisor.told == []


@pytest.mark.parametrize("path", ["/v1/backends/be_a", "/v1/models/a/one"])
async def test_replacing_begins_and_shows_how_far_it_is(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.post(f"{path}/load?replace=true")

    card = answer.json()["data"]
    assert answer.status_code == 202
    assert surface.supervisor.told == [("replace", "be_a")]
    assert (card["id"], card["state"]) == ("be_a", "ready")
    assert (card["replacement"]["number"], card["replacement"]["state"]) == (1, "starting")


async def test_a_replacement_that_is_refused_is_an_ordinary_refusal(
    surface: Surface, client: httpx.AsyncClient
) -> None:
    surface.replacing.refusal = ServiceError(ErrorCode.CONFLICT, "is on its way already")

    answer = await client.post("/v1/backends/be_a/load?replace=true")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")


async def test_replacing_needs_models_manage(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.permissions = frozenset(Permission) - {Permission.MODELS_MANAGE, Permission.ADMIN_ACCESS}

    answers = [
        await client.post(f"{path}/load?replace=true") for path in ("/v1/backends/be_a", "/v1/models/a/one")
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert surface.supervisor.told == []
