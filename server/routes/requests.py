"""GET /v1/inference/requests and /v1/inference/requests/{id}: what the caller's key has running."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.deps import request_id, require, services
from server.envelope import Json, success
from server.errors import ServiceError

router = APIRouter(tags=["inference"])


@router.get("/v1/inference/requests")
async def list_requests(request: Request) -> Json:
    """The running requests of this key, the oldest first. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    running = services(request).gateway.running.of(caller.key_id)
    return Json(success({"items": [entry.card() for entry in running]}, request_id(request)))


@router.get("/v1/inference/requests/{id}")
async def get_request(request: Request, id: Annotated[str, Path(max_length=200)]) -> Json:
    """A running request of this key by its `X-Scaigrid-Request-Id`; 404 when it has ended. Needs `models:use`.

    A client that chose the id itself (`X-Request-ID`) can ask while it waits for the answer. `progress` is there for
    pictures. Of several requests with one id this is the newest.
    """
    caller = require(request, Permission.MODELS_USE)
    found = services(request).gateway.running.find(caller.key_id, id)
    if found is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "No request with this id is running")
    return Json(success(found.card(), request_id(request)))
