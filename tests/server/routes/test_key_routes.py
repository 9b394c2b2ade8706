"""API keys over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from server.caller import Permission
from server.deps import Services
from server.keys import NewKey
from server.routes import keys, me
from tests.fakes.edge import Answer, bearer, body_of, call, make_app


class Site:
    """The key routes and an administrator's key."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.app: FastAPI = make_app(services, [keys.router, me.router])
        self.admin = services.keys.create("admin", list(Permission))

    async def ask(self, method: str, path: str, *, key: NewKey | None = None, body: Any = None) -> Answer:
        headers = [bearer((key or self.admin).secret.reveal()), ("Content-Type", "application/json")]
        content = b"" if body is None else json.dumps(body).encode()
        headers.append(("Content-Length", str(len(content))))
        return await call(self.app, path, method=method, headers=headers, receive=body_of(content))


@pytest.fixture
def site(services: Services) -> Site:
    return Site(services)


async def test_new_key_is_shown_once_and_works(site: Site) -> None:
    answer = await site.ask("POST", "/v1/api-keys", body={"name": "app", "permissions": ["models:use"]})

    data = answer.json()["data"]
    assert data["key"].startswith("sgk_")
    assert (data["name"], data["prefix"], data["scopes"]) == ("app", "sgk_", ["models:use"])
    assert (data["expires_at"], data["created_by"]) == (None, site.admin.record.id)
    assert site.services.keys.verify(data["key"]) is not None
    listed = await site.ask("GET", "/v1/api-keys")
    assert data["key"].encode() not in listed.body
    assert "key" not in listed.json()["data"]["items"][0]


async def test_key_without_a_wish_gets_what_its_creator_has(site: Site) -> None:
    creator = site.services.keys.create(
        "c", [Permission.API_KEYS_MANAGE, Permission.MODELS_USE], ["fake/echo"]
    )

    answer = await site.ask("POST", "/v1/api-keys", key=creator, body={"name": "n", "assigned_user_id": None})

    data = answer.json()["data"]
    assert data["scopes"] == ["api_keys:manage", "models:use"]
    assert data["models"] == ["fake/echo"]


@pytest.mark.parametrize("wish", [{"permissions": ["admin:access"]}, {"models": ["fake/other"]}])
async def test_key_cannot_give_more_than_it_has(site: Site, wish: dict[str, list[str]]) -> None:
    creator = site.services.keys.create("c", [Permission.API_KEYS_MANAGE], ["fake/echo"])

    answer = await site.ask("POST", "/v1/api-keys", key=creator, body={"name": "n"} | wish)

    assert (answer.status, answer.json()["error"]["code"]) == (403, "AUTHZ_PERMISSION_DENIED")
    assert len(site.services.keys.list()) == 2


async def test_expiry_is_kept_as_utc(site: Site) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    body = {"name": "n", "expires_at": later.isoformat().replace("+00:00", "Z")}
    answer = await site.ask("POST", "/v1/api-keys", body=body)

    assert answer.json()["data"]["expires_at"] == body["expires_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "n", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "n", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"name": "n", "expires_at": "soon"}, "expires_at"),
        ({"name": "n", "permissions": ["moon:visit"]}, "permissions.0"),
        ({"name": "n", "assigned_user_id": "user_1"}, "assigned_user_id"),
        ({"name": "n", "role": "admin"}, "role"),
    ],
)
async def test_wrong_field_is_named(site: Site, body: dict[str, object], field: str) -> None:
    answer = await site.ask("POST", "/v1/api-keys", body=body)

    assert (answer.status, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert [problem["field"] for problem in answer.json()["error"]["details"]] == [field]


async def test_caller_without_the_permission_sees_only_itself(site: Site) -> None:
    plain = site.services.keys.create("plain", [Permission.MODELS_USE])

    listed = await site.ask("GET", "/v1/api-keys", key=plain)
    created = await site.ask("POST", "/v1/api-keys", key=plain, body={"name": "n"})
    revoked = await site.ask("DELETE", f"/v1/api-keys/{site.admin.record.id}", key=plain)

    assert [item["id"] for item in listed.json()["data"]["items"]] == [plain.record.id]
    assert (created.status, revoked.status) == (403, 403)


async def test_revoked_key_is_refused_by_the_very_next_request(site: Site) -> None:
    doomed = site.services.keys.create("doomed", [])
    assert (await site.ask("GET", "/v1/me", key=doomed)).status == 200

    answer = await site.ask("DELETE", f"/v1/api-keys/{doomed.record.id}")

    assert answer.json()["data"] == {"id": doomed.record.id, "deleted": True}
    assert (await site.ask("GET", "/v1/me", key=doomed)).status == 401


async def test_unknown_key_cannot_be_revoked(site: Site) -> None:
    answer = await site.ask("DELETE", "/v1/api-keys/apikey_unknown")

    assert (answer.status, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_list_comes_in_pages(site: Site) -> None:
    for number in range(4):
        site.services.keys.create(f"n{number}", [])

    names, query = [], "limit=2"
    while query:
        scope_path = await call_with_query(site, query)
        names += [item["name"] for item in scope_path["data"]["items"]]
        cursor = scope_path["pagination"]["next_cursor"]
        assert scope_path["pagination"]["has_more"] == (cursor is not None)
        query = f"limit=2&cursor={cursor}" if cursor else ""

    assert names == ["admin", "n0", "n1", "n2", "n3"]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=apikey_unknown"])
async def test_wrong_page_is_refused(site: Site, query: str) -> None:
    found = await call_with_query(site, query)

    assert found["error"]["code"] == "VALIDATION_ERROR"
    assert found["error"]["details"][0]["field"] == query.partition("=")[0]


async def call_with_query(site: Site, query: str) -> dict[str, Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await site.app(scope | {"query_string": query.encode()}, receive, send)

    answer = await call(app, "/v1/api-keys", headers=[bearer(site.admin.secret.reveal())])
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("path", ["/v1/me", "/v1/auth/me"])
async def test_me_tells_what_the_key_allows(site: Site, path: str) -> None:
    key = site.services.keys.create("mine", [Permission.MODELS_USE], ["fake/echo"])

    answer = await site.ask("GET", path, key=key)

    assert answer.json()["data"] == {
        "id": key.record.id,
        "name": "mine",
        "permissions": ["models:use"],
        "models": ["fake/echo"],
    }
    assert answer.json()["meta"]["request_id"] == answer.headers["x-scaigrid-request-id"]
