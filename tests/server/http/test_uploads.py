"""What is uploaded lies on disk under names of ours, bounded, and is gone with its request."""

import asyncio
import os
import stat
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.files import FileWriter
from server.http.uploads import Spool, UploadRoute


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "uploads", max_bytes=1_000_000)
    made.sweep()
    return made


async def test_file_is_written_for_its_owner_only(spool: Spool) -> None:
    upload = spool.open()

    await upload.add(b"x" * 300_000)
    await upload.add(b"y")
    await upload.flush()

    assert upload.path.read_bytes() == b"x" * 300_000 + b"y"
    assert stat.S_IMODE(upload.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(upload.path.parent.stat().st_mode) == 0o700
    assert (len(upload.path.name), upload.size_bytes) == (32, 300_001)


async def test_empty_file_is_a_file(spool: Spool) -> None:
    upload = spool.open()

    await upload.flush()

    assert upload.path.read_bytes() == b""


async def test_too_large_a_file_is_refused_while_it_comes(spool: Spool) -> None:
    upload = spool.open()
    await upload.add(b"x" * 999_999)

    with pytest.raises(ServiceError) as caught:
        await upload.add(b"yz")

    assert caught.value.code is ErrorCode.PAYLOAD_TOO_LARGE


async def test_no_room_on_the_disk_is_told(spool: Spool) -> None:
    upload = FileWriter(Path("/dev/full"), 10)
    await upload.add(b"x")

    with pytest.raises(ServiceError, match="no room") as caught:
        await upload.flush()

    assert caught.value.code is ErrorCode.STORAGE_FULL


async def test_cancelled_writing_ends_before_the_file_is_removed(tmp_path: Path) -> None:
    """A pipe without a reader is a disk that takes its time."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    upload = FileWriter(path, 10)
    await upload.add(b"x")
    flushing = asyncio.create_task(upload.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    flushing.cancel()
    done, _ = await asyncio.wait([flushing], timeout=0.05)
    assert done == set()
    written = await asyncio.to_thread(path.read_bytes)

    with pytest.raises(asyncio.CancelledError):
        await flushing
    assert written == b"x"


def test_sweep_removes_what_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "old").write_bytes(b"x")

    Spool(folder, 1).sweep()

    assert list(folder.iterdir()) == []


class _WithState:
    """The part of the outer layers that an upload route relies on."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope | {"state": {}}, receive, send)


@pytest.mark.parametrize("fails", [False, True])
async def test_uploads_end_with_their_request(spool: Spool, fails: bool) -> None:
    router = APIRouter(route_class=UploadRoute)
    seen: list[bool] = []

    class Slow(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["state"]["uploads"][0].path.exists())
            if fails:
                raise ConnectionError
            await super().__call__(scope, receive, send)

    @router.post("/up")
    async def up(request: Request) -> Response:
        upload = spool.open()
        request.scope["state"]["uploads"].append(upload)
        await upload.add(await request.body())
        await upload.flush()
        return Slow()

    app = FastAPI()
    app.include_router(router)
    transport = httpx.ASGITransport(app=_WithState(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.post("/up", content=b"abc")

    assert seen == [True]
    assert os.listdir(spool.open().path.parent) == []
