"""Every route of the real application, found by walking it: no key, no answer but 401."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from server.app import create_app, create_services
from server.auth import public_paths
from server.catalog import Catalog
from server.deps import Services
from tests.fakes.edge import bearer, call

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(create_services(services.settings, Catalog({}), services.keys))


def paths_of(app: FastAPI) -> set[str]:
    """Every path that some route answers, documented or not, with `x` for its parameters."""
    templates = set(app.openapi()["paths"]) | set(_templates(app.routes))
    return {re.sub(r"\{[^}]*\}", "x", template) for template in templates}


def _templates(routes: Iterable[Any]) -> Iterator[str]:
    for route in routes:
        if hasattr(route, "original_router"):  # FastAPI's wrapper of an included router
            yield from _templates(route.original_router.routes)
        else:
            yield route.path


def test_walk_finds_documented_and_undocumented_routes(app: FastAPI) -> None:
    paths = paths_of(app)

    assert {"/health", "/metrics", "/openapi.json", "/v1/api-keys/x", "/v1/inference/chat"} <= paths
    assert {"/oai/v1/chat/completions", "/v1/chat/completions"} <= paths


@pytest.mark.parametrize("headers", [[], [bearer("sgk_wrong")]], ids=["no key", "wrong key"])
async def test_every_route_but_the_public_ones_answers_401(
    app: FastAPI, services: Services, headers: list[tuple[str, str]]
) -> None:
    protected = paths_of(app) - public_paths(services.settings)

    answers = {
        (method, path): (await call(app, path, method=method, headers=headers)).status
        for path in sorted(protected)
        for method in METHODS
    }

    assert {door: status for door, status in answers.items() if status != 401} == {}


async def test_key_without_permissions_gets_nowhere(app: FastAPI, services: Services) -> None:
    """No route that works on models, keys of others or the server answers a key that may do nothing."""
    key = services.keys.create("nothing", [])
    open_to_every_key = {"/v1/me", "/v1/auth/me", "/v1/api-keys"}
    paths = paths_of(app) - public_paths(services.settings) - open_to_every_key

    answers = {
        path: (await call(app, path, headers=[bearer(key.secret.reveal())])).status for path in sorted(paths)
    }

    assert {path: status for path, status in answers.items() if status < 400} == {}
