"""Runs a prepared server until a signal ends it, and tells how its models come up. Checks nothing."""

import asyncio
import socket

import uvloop

from server.app import create_app, create_services, drain_hooks
from server.cli.follow import Say, StartupFollower, follow_startup
from server.cli.startup import Prepared
from server.deps import Services
from server.http.draining import DrainingServer, DrainTimes
from server.http.protocol import server_config
from server.settings import Settings


def run_server(settings: Settings, prepared: Prepared, listener: socket.socket, say: Say) -> bool:
    """Whether it came to serving at all."""
    services = create_services(settings, prepared.catalog, prepared.keys)
    server = DrainingServer(
        server_config(create_app(services), settings),
        drain_hooks(services),
        DrainTimes(grace_s=settings.drain_grace_s, timeout_s=settings.drain_timeout_s),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, listener, services, say))
    return server.started


async def _serve(server: DrainingServer, listener: socket.socket, services: Services, say: Say) -> None:
    preloaded = [spec for spec in services.catalog.backends.values() if spec.preload]
    follower = StartupFollower({spec.id: spec.frontends[0].slug for spec in preloaded}, say)
    following = asyncio.create_task(
        follow_startup(follower, services.supervisor.snapshot), name="startup.follow"
    )
    try:
        await server.serve(sockets=[listener])
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
