"""Backends for those who manage models."""

import httpx
import pytest

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.errors import ServiceError
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


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/backends"), ("POST", "/v1/backends/be_a/load"), ("POST", "/v1/backends/be_a/stop")],
)
async def test_managing_needs_models_manage(
    surface: Surface, client: httpx.AsyncClient, method: str, path: str
) -> None:
    surface.permissions = frozenset(Permission) - {Permission.MODELS_MANAGE}

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
    surface.permissions = frozenset(Permission) - {Permission.MODELS_MANAGE}

    answers = [
        await client.post(f"{path}/load?replace=true") for path in ("/v1/backends/be_a", "/v1/models/a/one")
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert surface.supervisor.told == []
