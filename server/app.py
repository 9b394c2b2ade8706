"""Composition root: the only place that constructs and wires. Read it to see what there is and in which order."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware import Middleware

from server import __version__, envelope
from server.auth import Authentication, public_paths
from server.catalog import Catalog
from server.catalog.estimates import estimate_memory
from server.deps import Services
from server.engine_envs import python_for
from server.gateway import Gateway
from server.http.context import RequestContext
from server.http.disconnect import CancelOnDisconnect
from server.http.draining import DrainHooks
from server.http.guards import Guards
from server.http.readiness import Readiness
from server.http.uploads import Spool, UploadRoute
from server.idempotency import Idempotency
from server.keys import KeyRing
from server.media import open_media
from server.openai import ROUTERS as OPENAI_ROUTERS
from server.remote import RemoteFiles
from server.router import Router
from server.routes import ROUTERS as NATIVE_ROUTERS
from server.settings import Settings
from server.store.backup import Backups
from server.store.database import Database
from server.telemetry import Metrics
from server.workers.backoff import RestartPolicy
from server.workers.launch import Launcher
from server.workers.process import Timeouts
from server.workers.supervisor import Supervisor


def create_services(settings: Settings, catalog: Catalog, keys: KeyRing) -> Services:
    """Everything behind the routes; nothing runs yet."""
    backends = catalog.backends.values()
    router = Router(backends)
    metrics = Metrics(models=router.frontends, backends=catalog.backends)
    launcher = Launcher(settings.data_dir, lambda engine: python_for(engine, settings))
    supervisor = Supervisor(
        backends,
        launcher.plan,
        policy=RestartPolicy(max_deaths=settings.max_restarts),
        timeouts=Timeouts(heartbeat_s=settings.heartbeat_timeout_s),
    )
    database = Database(keys.store)
    return Services(
        settings=settings,
        catalog=catalog,
        gateway=Gateway(router, supervisor, metrics, secrets.token_bytes(16)),
        supervisor=supervisor,
        keys=keys,
        media=open_media(settings),
        metrics=metrics,
        estimates=estimate_memory(backends),
        remote=RemoteFiles(settings.remote_hosts, max_bytes=settings.max_body_bytes),
        uploads=Spool(settings.data_dir / "uploads", settings.max_upload_bytes),
        database=database,
        idempotency=Idempotency(database, holder=f"server_{secrets.token_hex(12)}"),
        backups=Backups(database, keep=settings.store_backups, min_free_bytes=settings.min_free_bytes),
        readiness=Readiness({"database": keys.is_fresh, "workers": lambda: supervisor.is_running}),
    )


def create_app(services: Services) -> FastAPI:
    """The ASGI application. Its lifespan runs the workers, keeps the keys fresh and sweeps what is old."""
    settings = services.settings

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(services.uploads.sweep)
        tasks = [
            asyncio.create_task(services.keys.run(), name="keys.run"),
            asyncio.create_task(services.media.run(), name="media.run"),
            asyncio.create_task(services.idempotency.run(), name="idempotency.run"),
            asyncio.create_task(services.backups.run(), name="backups.run"),
        ]
        try:
            async with services.supervisor:
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(services.database.close)
            await asyncio.to_thread(services.keys.close)

    app = FastAPI(
        title="Hearth",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=[  # outermost first
            Middleware(RequestContext, metrics=services.metrics),
            Middleware(Guards, settings=settings, upload_paths=_upload_paths()),
            Middleware(Authentication, keys=services.keys, public_paths=public_paths(settings)),
            Middleware(CancelOnDisconnect, metrics=services.metrics),
        ],
    )
    app.state.services = services
    envelope.install_handlers(app)
    for router in (*OPENAI_ROUTERS, *NATIVE_ROUTERS):  # looked through in this order: the busiest first
        app.include_router(router)
    return app


def _upload_paths() -> frozenset[str]:
    routes = (route for router in (*OPENAI_ROUTERS, *NATIVE_ROUTERS) for route in router.routes)
    return frozenset(route.path for route in routes if isinstance(route, UploadRoute))


def drain_hooks(services: Services) -> DrainHooks:
    """What a shutdown does to the services, step by step."""
    return DrainHooks(
        announce=services.readiness.start_draining,
        close=services.supervisor.drain,
        cut=services.supervisor.cut,
    )
