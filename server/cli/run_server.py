"""Runs a prepared server until a signal ends it, and tells how its models come up. Checks nothing."""

import asyncio
import gc
import socket

import uvloop

from server.app import create_app, create_services, drain_hooks
from server.cli.follow import Say, StartupFollower, follow_startup
from server.cli.startup import Prepared
from server.deps import Services
from server.http.draining import DrainingServer, DrainTimes
from server.http.protocol import server_config
from server.settings import Settings

STARTED_PERIOD_S = 0.05


def run_server(settings: Settings, prepared: Prepared, listener: socket.socket, say: Say) -> bool:
    """Whether it came to serving at all."""
    services = create_services(settings, prepared.catalog, prepared.keys)
    server = DrainingServer(
        server_config(create_app(services), settings),
        drain_hooks(services),
        DrainTimes(grace_s=settings.drain_grace_s, timeout_s=settings.drain_timeout_s),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _spare_garbage_collector()
        runner.run(_serve(server, listener, services, say))
    return server.started


def _spare_garbage_collector() -> None:
    """What is loaded by now lives as long as the process; a request leaves hardly any cycle behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


async def _serve(server: DrainingServer, listener: socket.socket, services: Services, say: Say) -> None:
    telling = asyncio.create_task(_tell(server, services, say), name="startup.tell")
    try:
        await server.serve(sockets=[listener])
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(server: DrainingServer, services: Services, say: Say) -> None:
    while not server.started:  # noqa: ASYNC110  # uvicorn offers a flag only
        await asyncio.sleep(STARTED_PERIOD_S)
    say("Running. Ctrl-C ends it.")
    preloaded = [spec for spec in services.catalog.backends.values() if spec.preload]
    follower = StartupFollower({spec.id: spec.frontends[0].slug for spec in preloaded}, say)
    await follow_startup(follower, services.supervisor.snapshot)
