"""The edge around any routes: the layers in their real order, real keys in a real store, no workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Scope

from server.auth import Authentication, public_paths
from server.deps import Services
from server.disk import DiskGuard
from server.envelope import install_handlers
from server.files import FileStore
from server.http.context import RequestContext
from server.http.disconnect import CancelOnDisconnect
from server.http.guards import Guards
from server.http.uploads import Spool
from server.idempotency import Idempotency
from server.keys import KeyRing
from server.media import open_media
from server.remote import RemoteFiles
from server.settings import Settings
from server.store import open_store
from server.store.backup import Backups
from server.store.database import Database
from server.telemetry import Metrics
from server.workers.status import WorkerState
from tests.fakes.fake_supervisor import FakeSupervisor, backend_status


def make_services(folder: Path, **settings: Any) -> Services:
    chosen = Settings(**{"data_dir": folder, "port": 0} | settings)
    keys = KeyRing(open_store(chosen.store_url), refresh_gap_s=0)
    database = Database(keys.store)
    disk = DiskGuard(chosen.data_dir, chosen.min_free_bytes)
    nothing: Any = None
    workers: Any = FakeSupervisor(backend_status("be_echo", WorkerState.READY, in_flight=2, restarts=3))
    return Services(
        settings=chosen,
        catalog=nothing,
        gateway=nothing,
        supervisor=workers,
        keys=keys,
        media=open_media(chosen),
        remote=RemoteFiles((), max_bytes=1),
        uploads=Spool(chosen.data_dir / "uploads", chosen.max_upload_bytes),
        database=database,
        idempotency=Idempotency(database, "server_test"),
        disk=disk,
        files=FileStore(database, chosen.data_dir / "files", disk),
        intake=nothing,
        batches=nothing,
        runner=nothing,
        upkeep=nothing,
        measurements=nothing,
        load_times=nothing,
        replacing=nothing,
        backups=Backups(database, keep=0),
        metrics=Metrics(models=["fake/echo"], backends=["be_echo"]),
    )


def make_app(services: Services, routers: Iterable[APIRouter]) -> FastAPI:
    app = FastAPI(
        middleware=[
            Middleware(RequestContext, metrics=services.metrics),
            Middleware(Guards, settings=services.settings),
            Middleware(Authentication, keys=services.keys, public_paths=public_paths(services.settings)),
            Middleware(CancelOnDisconnect, metrics=services.metrics),
        ]
    )
    app.state.services = services
    install_handlers(app)
    for router in routers:
        app.include_router(router)
    return app


@dataclass
class Answer:
    """What an ASGI application sent."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    def json(self) -> Any:
        return json.loads(self.body)


def http_scope(path: str, *, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> Scope:
    """A scope as uvicorn makes it; Host is added unless given."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if not any(name == b"host" for name, _ in raw):
        raw.append((b"host", b"localhost"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": raw,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "state": {},
    }


Receive = Callable[[], Awaitable[Message]]


def body_of(*chunks: bytes, then: Receive | None = None) -> Receive:
    """A client that sends these chunks, and after them waits for ever or does what `then` says."""

    async def messages() -> AsyncIterator[Message]:
        for place, chunk in enumerate(chunks or (b"",), start=1):
            yield {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}

    pending = messages()

    async def receive() -> Message:
        try:
            return await anext(pending)
        except StopAsyncIteration:
            return await (then or forever)()

    return receive


async def forever() -> Message:
    """A client that stays and says nothing."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


async def call(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    receive: Receive | None = None,
) -> Answer:
    """Run one request through `app` and collect its answer."""
    answer = Answer()

    async def send(message: Message) -> None:
        answer.messages.append(message)

    await app(http_scope(path, method=method, headers=headers), receive or body_of(), send)
    return answer


def bearer(secret: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {secret}")
