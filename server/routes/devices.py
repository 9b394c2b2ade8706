"""GET /v1/devices: the memory of this machine and of its GPUs, and who holds it."""

from fastapi import APIRouter, Request

from server.caller import Permission
from server.deps import request_id, require, services
from server.envelope import Json, success

router = APIRouter(tags=["backends"])


@router.get("/v1/devices")
async def list_devices(request: Request) -> Json:
    """Every device with its budget, what is held of it and by whom, and which backends wait for it.

    `cpu` is the memory of the machine. Needs `models:manage`.
    """
    require(request, Permission.MODELS_MANAGE)
    items = [
        {
            "device": device.device,
            "budget_bytes": device.budget_bytes,
            "used_bytes": device.used_bytes,
            "free_bytes": device.free_bytes,
            "holdings": [
                {
                    "backend_id": holding.backend_id,
                    "size_bytes": holding.size_bytes,
                    "is_measured": holding.is_measured,
                }
                for holding in device.holdings
            ],
            "waiting": device.waiting,
        }
        for device in services(request).supervisor.devices()
    ]
    return Json(success({"items": items}, request_id(request)))
