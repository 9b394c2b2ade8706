"""Fixtures for tests of routes."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.surface import Surface


@pytest.fixture
def surface() -> Surface:
    return Surface()


@pytest.fixture
async def client(surface: Surface) -> AsyncIterator[httpx.AsyncClient]:
    async with surface.client() as client:
        yield client
