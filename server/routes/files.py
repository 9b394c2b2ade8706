"""/v1/files: durable files of a key, the inputs and the results of batches."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.envelope import Json, Pagination, success, to_json
from server.files import FilePlace, Purpose
from server.http.uploads import FileRoute
from server.idempotency import HEADER
from server.streaming import JSON
from server.wire.file_body import FileForm
from server.wire.file_content import file_content
from server.wire.file_render import BYTES, native_file
from server.wire.file_upload import keep_file
from server.wire.form_body import form_docs, read_form
from server.wire.paging import DEFAULT_LIMIT, MAX_LIMIT, decode_place, encode_place

PATH = "/v1/files"
router = APIRouter(prefix=PATH, tags=["files"], route_class=FileRoute)
_FileId = Annotated[str, Path(max_length=64)]
_EXAMPLES: dict[str, dict[str, Any]] = {
    "batch": {"file": "@requests.jsonl", "purpose": "batch"},
    "short": {
        "file": "@speech.wav",
        "purpose": "user_data",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": 86400,
    },
}
_CONTENT: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": {BYTES: {}}}}


@router.post("", openapi_extra=form_docs(FileForm, **_EXAMPLES))
async def create_file(request: Request) -> Response:
    """Keep a file. When this answers, it survives a crash and a power cut. Needs `models:use`.

    `uri` is what a batch names as its input. The file is the key's own: no other key sees it. With an `Idempotency-Key`
    a repeated call gives the first one's answer.
    """
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    hub.disk.check()
    async with hub.idempotency.begin(caller.key_id, request.headers.get(HEADER)) as once:
        form = await read_form(
            request, FileForm, lambda: hub.files.draft(max_bytes=hub.settings.max_file_bytes)
        )
        answer = await keep_file(
            form,
            hub.files,
            once,
            owner=caller.key_id,
            ttl_s=hub.settings.files_ttl_s,
            render=lambda record: to_json(success(native_file(record), request_id(request))),
        )
    return Response(answer, media_type=JSON)


@router.get("")
async def list_files(
    request: Request,
    purpose: Purpose | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Json:
    """The files of this key, the newest first. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    records, has_more = await services(request).files.list(
        caller.key_id,
        purpose=purpose,
        limit=limit,
        after=None if cursor is None else FilePlace(*decode_place(cursor)),
        is_newest_first=True,
    )
    following = encode_place(*records[-1].place) if has_more else None
    pagination = Pagination(has_more=has_more, next_cursor=following)
    return Json(success({"items": list(map(native_file, records))}, request_id(request), pagination))


@router.get("/{file_id}")
async def get_file(request: Request, file_id: _FileId) -> Json:
    """What is known of a file. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    record = await services(request).files.find(caller.key_id, file_id)
    return Json(success(native_file(record), request_id(request)))


@router.get("/{file_id}/content", response_class=Response, responses=_CONTENT)
async def get_file_content(request: Request, file_id: _FileId) -> Response:
    """The file itself, or the one range of bytes that is asked for. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    files = services(request).files
    return await file_content(request, await files.find(caller.key_id, file_id), files)


@router.delete("/{file_id}")
async def delete_file(request: Request, file_id: _FileId) -> Json:
    """Remove a file for good; 409 while a batch reads it. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    await services(request).files.delete(caller.key_id, file_id)
    return Json(success({"id": file_id, "object": "file", "deleted": True}, request_id(request)))
