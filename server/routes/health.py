"""Is it alive, is it ready, how is it doing, and the metrics. Bare bodies, as documented: no envelope."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.envelope import Json, success

router = APIRouter(tags=["health"])


@router.get("/health")
@router.get("/health/live")
async def live() -> Json:
    """The event loop turns. Depends on no model and no store."""
    return Json({"status": "ok"})


@router.get("/health/ready")
async def ready(request: Request) -> Json:
    """200 if this server should get requests, else 503. A model that is not loaded does not count."""
    readiness = services(request).readiness
    is_ready = readiness.is_ready()
    word = "ready" if is_ready else "draining" if readiness.draining else "unavailable"
    checks = {name: "ok" if passed else "failed" for name, passed in readiness.results().items()}
    return Json({"status": word, "checks": checks}, status_code=200 if is_ready else 503)


@router.get("/health/detailed")
async def detailed(request: Request) -> Json:
    """The state of every backend, with its last error. Needs `admin:access`."""
    require(request, Permission.ADMIN_ACCESS)
    found = services(request)
    backends = [msgspec.to_builtins(status) for status in found.supervisor.snapshot()]
    data = {"draining": found.readiness.draining, "checks": found.readiness.results(), "backends": backends}
    return Json(success(data, request_id(request)))


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    found = services(request)
    for status in found.supervisor.snapshot():
        found.metrics.set_backend(
            status.backend_id,
            is_healthy=status.state == "ready",
            in_flight=status.in_flight,
            is_given_up=status.state == "failed",
            restarts=status.restarts,
            state=status.state,
            waiting=status.waiting,
            load_s=status.load_s,
            wake_s=status.wake_s,
            size_bytes=status.device_bytes or status.rss_bytes or 0,
            evictions=status.evictions,
        )
    for device in found.supervisor.devices():
        found.metrics.set_device(
            device.device, budget_bytes=device.budget_bytes, used_bytes=device.used_bytes
        )
    return Response(found.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
