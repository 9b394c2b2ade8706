"""All routes over fakes, without the layers in front of them, called in this process."""

from pathlib import Path
from types import SimpleNamespace

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.types import Modality
from server.caller import Caller, Permission
from server.disk import DiskGuard
from server.envelope import install_handlers
from server.files import FileStore
from server.http.uploads import Spool
from server.idempotency import Idempotency
from server.media import MediaStore
from server.media.token import Signer
from server.openai import ROUTERS as OPENAI_ROUTERS
from server.remote import RemoteFiles
from server.routes import ROUTERS as NATIVE_ROUTERS
from server.settings import Settings
from server.store.database import Database
from server.workers.status import WorkerState
from tests.fakes.fake_gateway import FakeGateway
from tests.fakes.fake_media import Clock, MediaMemory
from tests.fakes.fake_supervisor import FakeReplacing, FakeSupervisor, backend_status

REQUEST_ID = "req_test"


def backend(backend_id: str, *slugs: str, max_output_tokens: int | None = 64) -> BackendSpec:
    return BackendSpec(
        id=backend_id,
        engine="fake_chat",
        modality=Modality.CHAT,
        frontends=tuple(Frontend(slug) for slug in slugs),
        weights="/nowhere",
        licence="none",
        context_window=256,
        max_output_tokens=max_output_tokens,
        capabilities=Capabilities(tools=True),
    )


class Surface:
    """An app with two backends: `be_a` (a/one, a/two) is ready, `be_b` (b/one) is stopped. Files that clients send are
    kept in `uploads`, which must exist if any does.
    """

    def __init__(self, uploads: Path = Path("/nowhere")) -> None:
        specs = (backend("be_a", "a/two", "a/one"), backend("be_b", "b/one", max_output_tokens=None))
        self.gateway = FakeGateway()
        self.supervisor = FakeSupervisor(
            backend_status("be_a", WorkerState.READY, rss_bytes=1000, load_s=1.5),
            backend_status("be_b", WorkerState.STOPPED),
        )
        self.replacing = FakeReplacing(self.supervisor)
        self.clock = Clock()
        self.media = MediaStore(MediaMemory(), Signer(b"key"), ttl_s=3600, now=self.clock)
        self.key_id = "key_1"
        self.permissions = frozenset(Permission)
        self.models: frozenset[str] | None = None
        self.app = FastAPI(docs_url=None, redoc_url=None)
        install_handlers(self.app)
        for router in NATIVE_ROUTERS + OPENAI_ROUTERS:
            self.app.include_router(router)
        self.app.state.services = SimpleNamespace(
            settings=Settings(),
            catalog=SimpleNamespace(
                backends={spec.id: spec for spec in specs}, estimates={"be_a": MemoryEstimate(300, 50)}
            ),
            gateway=self.gateway,
            supervisor=self.supervisor,
            replacing=self.replacing,
            media=self.media,
            uploads=Spool(uploads, Settings().max_upload_bytes),
            remote=RemoteFiles((), max_bytes=1),
            measurements=SimpleNamespace(known={"be_a": 500}),
            load_times=SimpleNamespace(of=lambda specs: {"be_a": 2.5}),
        )

    def keep_files(self, files: FileStore, disk: DiskGuard, database: Database) -> None:
        """Serve durable files too."""
        self.app.state.services.files = files
        self.app.state.services.disk = disk
        self.app.state.services.idempotency = Idempotency(database, "server_test")

    def set(self, **settings: object) -> None:
        """Other settings than the defaults."""
        self.app.state.services.settings = Settings.model_validate(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = Caller(self.key_id, "test", self.permissions, self.models)
        await self.app(scope | {"state": {"caller": caller, "request_id": REQUEST_ID}}, receive, send)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self), base_url="http://localhost")
