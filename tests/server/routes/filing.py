"""Helpers of the tests of file routes."""

from pathlib import Path
from typing import Any

import httpx
import pytest

NATIVE = "/v1/files"
OPENAI = "/oai/v1/files"
BOTH = pytest.mark.parametrize("path", [NATIVE, OPENAI])
CONTENT = b'{"custom_id": "1"}\n'
FILE = {"file": ("in.jsonl", CONTENT, "text/html")}


async def upload(client: httpx.AsyncClient, path: str = NATIVE, **data: str) -> dict[str, Any]:
    answer = await client.post(path, data={"purpose": "batch"} | data, files=FILE)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body["data"] if path == NATIVE else body


def left(folder: Path) -> list[str]:
    """Names of all content, finished or not."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def unread() -> Any:
    raise AssertionError("the body was read")
    yield b""
