"""Plans for those who manage models, and one backend in full."""

import httpx
import pytest

from server.caller import Permission
from tests.fakes.surface import Surface


async def test_plan_of_one_backend_tells_its_verdict_and_how_it_is_known(client: httpx.AsyncClient) -> None:
    plan = (await client.get("/v1/backends/be_a/plan")).json()["data"]

    assert (plan["verdict"], plan["evicts"], plan["need_bytes"]) == ("evicts", ["be_b"], 500)
    assert (plan["expected_load_s"], plan["is_load_measured"]) == (2.5, True)
    assert plan["models"] == ["a/two", "a/one"]


async def test_plan_of_all_says_who_fits_together(client: httpx.AsyncClient) -> None:
    data = (await client.get("/v1/plan")).json()["data"]

    assert [item["backend_id"] for item in data["items"]] == ["be_a", "be_b"]
    assert data["together"] == {"order": ["be_a", "be_b"], "left_out": [], "used_bytes": {"cpu": 1000}}
    assert data["devices"] == {"cpu": 1000}


async def test_one_backend_has_its_whole_configuration(client: httpx.AsyncClient) -> None:
    data = (await client.get("/v1/backends/be_a")).json()["data"]

    assert (data["state"], data["is_need_measured"]) == ("ready", True)
    assert data["configuration"]["limits"]["max_concurrency"] == 256
    assert data["configuration"]["options"] == {}


@pytest.mark.parametrize("path", ["/v1/backends/be_c", "/v1/backends/be_c/plan"])
async def test_unknown_backend(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/v1/plan", "/v1/backends/be_a", "/v1/backends/be_a/plan"])
async def test_it_needs_models_manage(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    surface.permissions = frozenset(Permission) - {Permission.MODELS_MANAGE, Permission.ADMIN_ACCESS}

    assert (await client.get(path)).status_code == 403
