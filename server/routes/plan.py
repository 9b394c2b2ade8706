"""GET /v1/plan and GET /v1/backends/{backend_id}/plan: what loading would take and do, for those who manage models."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.deps import Services, request_id, require, services
from server.envelope import Json, success
from server.errors import ServiceError
from server.forecast import Forecaster

router = APIRouter(tags=["backends"])


@router.get("/v1/plan")
async def plan_all(request: Request) -> Json:
    """The plan of every backend as things are now, and `together`: which could be resident at once from empty devices.

    Nothing is done. Needs `models:manage`.
    """
    require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    specs = list(hub.catalog.backends.values())
    plans = {spec.id: hub.supervisor.plan(spec.id) for spec in specs}
    forecaster = _forecaster(hub)
    items = await asyncio.to_thread(lambda: [forecaster.forecast(spec, plans[spec.id]) for spec in specs])
    found = {"items": items, "together": forecaster.together(specs, plans), "devices": _budgets(hub)}
    return Json(success(msgspec.to_builtins(found), request_id(request)))


@router.get("/v1/backends/{backend_id}/plan")
async def plan_backend(request: Request, backend_id: Annotated[str, Path(max_length=200)]) -> Json:
    """What loading the backend would take and do as things are now: whether it fits, who would give way, which settings
    would make it fit, how long it would take, and what its engine would be given.

    Nothing is done. Needs `models:manage`.
    """
    require(request, Permission.MODELS_MANAGE)
    hub = services(request)
    spec = hub.catalog.backends.get(backend_id)
    if spec is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "No backend with this id is configured")
    plan = hub.supervisor.plan(spec.id)
    found = await asyncio.to_thread(_forecaster(hub).forecast, spec, plan)
    return Json(success(msgspec.to_builtins(found), request_id(request)))


def _forecaster(hub: Services) -> Forecaster:
    load_seconds = hub.load_times.of(hub.catalog.backends.values())
    return Forecaster(_budgets(hub), dict(hub.measurements.known), load_seconds)


def _budgets(hub: Services) -> dict[str, int]:
    return {device.device: device.budget_bytes for device in hub.supervisor.devices()}
