"""API keys over HTTP: make, list, revoke. A key never gives more than it has itself."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field

from engines.contract.errors import ErrorCode
from server.caller import Caller, Permission
from server.deps import caller, request_id, require, services
from server.envelope import Json, Pagination, success
from server.errors import ServiceError, invalid
from server.keys import PREFIX, KeyRecord

router = APIRouter(prefix="/v1/api-keys", tags=["keys"])


class NewKeyBody(BaseModel):
    """`permissions` and `models` default to the caller's own; of `assigned_user_id` only null is known."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    expires_at: AwareDatetime | None = None
    assigned_user_id: None = None
    permissions: list[Permission] | None = Field(None, validation_alias=AliasChoices("permissions", "scopes"))
    models: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=1000)


@router.post("")
async def create_key(request: Request, body: Annotated[NewKeyBody, Body()]) -> Json:
    """Make a key. Its secret is in this answer and nowhere else. Needs `api_keys:manage`."""
    creator = require(request, Permission.API_KEYS_MANAGE)
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise invalid("expires_at", "must be in the future")
    new = await asyncio.to_thread(
        services(request).keys.create,
        body.name,
        _granted_permissions(creator, body.permissions),
        _granted_models(creator, body.models),
        expires_at=body.expires_at,
        created_by=creator.key_id,
    )
    return Json(success({**_shown(new.record), "key": new.secret.reveal()}, request_id(request)))


@router.get("")
async def list_keys(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
) -> Json:
    """The caller's own key, or with `api_keys:manage` every key. Metadata only."""
    who = caller(request)
    records = await asyncio.to_thread(services(request).keys.list)
    if not who.may(Permission.API_KEYS_MANAGE):
        records = [record for record in records if record.id == who.key_id]
    page, following = _page(records, limit, cursor)
    pagination = Pagination(has_more=following is not None, next_cursor=following)
    return Json(success({"items": [_shown(record) for record in page]}, request_id(request), pagination))


@router.delete("/{key_id}")
async def revoke_key(request: Request, key_id: Annotated[str, Path(max_length=40)]) -> Json:
    """Revoke a key at once and for good. Needs `api_keys:manage`."""
    who = require(request, Permission.API_KEYS_MANAGE)
    if not await asyncio.to_thread(services(request).keys.revoke, key_id, who.key_id):
        raise ServiceError(ErrorCode.NOT_FOUND, "there is no such API key")
    return Json(success({"id": key_id, "deleted": True}, request_id(request)))


def _granted_permissions(creator: Caller, wanted: list[Permission] | None) -> frozenset[Permission]:
    if wanted is None:
        return creator.permissions
    excess = sorted(set(wanted) - creator.permissions)
    if excess:
        raise ServiceError(
            ErrorCode.AUTHZ_PERMISSION_DENIED, f"this key cannot grant what it lacks: {', '.join(excess)}"
        )
    return frozenset(wanted)


def _granted_models(creator: Caller, wanted: list[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return creator.models
    if not all(creator.may_use_model(slug) for slug in wanted):
        raise ServiceError(
            ErrorCode.AUTHZ_PERMISSION_DENIED, "this key cannot grant models that it may not use"
        )
    return frozenset(wanted)


def _page(records: list[KeyRecord], limit: int, cursor: str | None) -> tuple[list[KeyRecord], str | None]:
    """One page after the key that `cursor` names, and the cursor of the next page."""
    start = 0
    if cursor is not None:
        start = next((place + 1 for place, record in enumerate(records) if record.id == cursor), -1)
        if start < 0:
            raise invalid("cursor", "is not one that this list has given")
    page = records[start : start + limit]
    return page, page[-1].id if start + limit < len(records) else None


def _shown(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "prefix": PREFIX,
        "scopes": record.permissions,
        "models": record.models,
        "expires_at": record.expires_at,
        "created_at": record.created_at,
        "last_used_at": record.last_used_at,
        "created_by": record.created_by,
    }
