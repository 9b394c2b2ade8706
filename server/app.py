"""Composition root: the only place that constructs and wires. Read it to see what there is and in which order."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware import Middleware

from server import __version__, envelope
from server.auth import Authentication, public_paths
from server.batch.board import Board
from server.batch.body import MAX_BODY_BYTES as MAX_BATCH_BODY_BYTES
from server.batch.course import Course, Limits
from server.batch.intake import Intake
from server.batch.line_runner import LineRunner
from server.batch.notice import DUE, WebhookTeller
from server.batch.runner import BatchRunner
from server.batch.service import Batches
from server.batch.upkeep import Upkeep
from server.batch.work import LineWork
from server.catalog import Catalog
from server.catalog.estimates import estimate_memory
from server.deps import Services
from server.disk import DiskGuard
from server.engine_envs import python_for
from server.files import FileStore
from server.gateway import Gateway
from server.http.context import RequestContext
from server.http.disconnect import CancelOnDisconnect
from server.http.draining import DrainHooks
from server.http.guards import Guards
from server.http.readiness import Readiness
from server.http.uploads import Spool, UploadRoute
from server.idempotency import Idempotency
from server.keys import KeyRing
from server.measurements import Measurements
from server.media import open_media
from server.nvml import read_gpus
from server.openai import ROUTERS as OPENAI_ROUTERS
from server.remote import RemoteFiles
from server.router import Router
from server.routes import ROUTERS as NATIVE_ROUTERS
from server.routes.batch import PATH as BATCH_PATH
from server.settings import Settings
from server.store.backup import Backups
from server.store.database import Database
from server.telemetry import Metrics
from server.webhooks import WebhookSender
from server.workers.backoff import RestartPolicy
from server.workers.devices import read_memory, settled
from server.workers.gpu_memory import gpu_bytes_by_group
from server.workers.launch import Launcher
from server.workers.process import Timeouts
from server.workers.supervisor import Supervisor


def create_services(settings: Settings, catalog: Catalog, keys: KeyRing) -> Services:
    """Everything behind the routes; nothing runs yet."""
    backends = catalog.backends.values()
    router = Router(backends)
    metrics = Metrics(models=router.frontends, backends=catalog.backends)
    launcher = Launcher(settings.data_dir, lambda engine: python_for(engine, settings))
    gpus = read_gpus()
    estimates = estimate_memory(settled(backends, has_gpu=bool(gpus)))
    measurements = Measurements(keys.store, backends)
    supervisor = Supervisor(
        backends,
        launcher.plan,
        policy=RestartPolicy(max_deaths=settings.max_restarts),
        timeouts=Timeouts(heartbeat_s=settings.heartbeat_timeout_s),
        memory=read_memory(backends, settings, estimates=estimates, measured=measurements.known, gpus=gpus),
        on_peak=measurements.tell,
        read_gpus=gpu_bytes_by_group if gpus else dict,
    )
    database = Database(keys.store, on_commit=metrics.count_commit)
    disk = DiskGuard(settings.files_folder, settings.min_free_bytes)
    server_id = f"server_{secrets.token_hex(12)}"
    gateway = Gateway(router, supervisor, metrics, secrets.token_bytes(16))
    files = FileStore(database, settings.files_folder, disk)
    media = open_media(settings)
    remote = RemoteFiles(settings.remote_hosts, max_bytes=settings.max_body_bytes)
    uploads = Spool(settings.data_dir / "uploads", settings.max_upload_bytes)
    teller = _webhook(settings, metrics)
    upkeep = Upkeep(server_id, database, teller)
    lines = LineRunner(gateway, files, media, remote=remote, uploads=uploads)
    board = Board(gateway, LineWork(database, lines, files, disk, metrics))
    course = Course(
        database,
        files,
        board,
        limits=Limits(settings.max_batch_lines, settings.max_body_bytes),
        webhooks=None if teller is None else DUE,
    )
    runner = BatchRunner(
        server_id, database, board, course, keys=keys, disk=disk, metrics=metrics, ended=upkeep.wake
    )
    return Services(
        settings=settings,
        catalog=catalog,
        gateway=gateway,
        supervisor=supervisor,
        keys=keys,
        media=media,
        metrics=metrics,
        estimates=estimates,
        measurements=measurements,
        remote=remote,
        uploads=uploads,
        database=database,
        idempotency=Idempotency(database, holder=server_id),
        disk=disk,
        files=files,
        intake=Intake(files, remote, disk, max_bytes=settings.max_file_bytes, ttl_s=settings.files_ttl_s),
        batches=Batches(
            database, files, disk, runner, max_active=settings.max_active_batches, ttl_s=settings.batch_ttl_s
        ),
        runner=runner,
        upkeep=upkeep,
        backups=Backups(database, keep=settings.store_backups, min_free_bytes=settings.min_free_bytes),
        readiness=Readiness({"database": keys.is_fresh, "workers": lambda: supervisor.is_running}),
    )


def create_app(services: Services) -> FastAPI:
    """The ASGI application. Its lifespan runs the workers and the batches, and sweeps what is old."""
    settings = services.settings

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(services.uploads.sweep)
        await services.files.start()
        tasks = [
            asyncio.create_task(services.keys.run(), name="keys.run"),
            asyncio.create_task(services.media.run(), name="media.run"),
            asyncio.create_task(services.idempotency.run(), name="idempotency.run"),
            asyncio.create_task(services.files.run(), name="files.run"),
            asyncio.create_task(services.upkeep.run(), name="batches.upkeep"),
            asyncio.create_task(services.backups.run(), name="backups.run"),
            asyncio.create_task(services.measurements.run(services.database), name="measurements.run"),
        ]
        try:
            async with services.supervisor:
                batches = asyncio.create_task(services.runner.run(), name="batches.run")
                try:
                    yield
                finally:  # before the workers go: lines under way go back to their batches
                    await _end(batches)
        finally:
            await _end(*tasks)
            await services.measurements.store(services.database)
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
            Middleware(Guards, settings=settings, upload_paths=_upload_paths(settings)),
            Middleware(Authentication, keys=services.keys, public_paths=public_paths(settings)),
            Middleware(CancelOnDisconnect, metrics=services.metrics),
        ],
    )
    app.state.services = services
    envelope.install_handlers(app)
    for router in (*OPENAI_ROUTERS, *NATIVE_ROUTERS):  # looked through in this order: the busiest first
        app.include_router(router)
    return app


def _webhook(settings: Settings, metrics: Metrics) -> WebhookTeller | None:
    if settings.webhook_url is None:
        return None
    secret = settings.webhook_secret
    key = None if secret is None else secret.get_secret_value()
    return WebhookTeller(WebhookSender(settings.webhook_url, key), metrics)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _upload_paths(settings: Settings) -> dict[str, int]:
    """The paths that take more than other bodies may hold, mostly a file, and how much that may be."""
    routes = (route for router in (*OPENAI_ROUTERS, *NATIVE_ROUTERS) for route in router.routes)
    found = {route.path: route.max_bytes(settings) for route in routes if isinstance(route, UploadRoute)}
    return found | {BATCH_PATH: MAX_BATCH_BODY_BYTES}


def drain_hooks(services: Services) -> DrainHooks:
    """What a shutdown does to the services, step by step."""
    return DrainHooks(
        announce=services.readiness.start_draining,
        close=services.supervisor.drain,
        cut=services.supervisor.cut,
    )
