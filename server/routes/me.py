"""Who the caller is and what the key allows."""

from fastapi import APIRouter, Request

from server.deps import caller, request_id
from server.envelope import Json, success

router = APIRouter(prefix="/v1", tags=["users"])


@router.get("/me")
@router.get("/auth/me")
async def me(request: Request) -> Json:
    """The caller's name, permissions and models; `models` null means all."""
    who = caller(request)
    data = {
        "id": who.key_id,
        "name": who.name,
        "permissions": sorted(who.permissions),
        "models": None if who.models is None else sorted(who.models),
    }
    return Json(success(data, request_id(request)))
