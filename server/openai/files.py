"""/oai/v1/files: OpenAI's files, as its SDKs speak them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from engines.contract.errors import ErrorCode
from server.caller import Permission
from server.deps import require, services
from server.envelope import Json, to_json
from server.errors import ServiceError, invalid
from server.files import FilePlace, FileStore, Purpose
from server.http.uploads import FileRoute
from server.idempotency import HEADER
from server.streaming import JSON
from server.wire.file_body import OpenAIFileForm
from server.wire.file_content import file_content
from server.wire.file_render import BYTES, openai_file
from server.wire.file_upload import keep_file
from server.wire.form_body import form_docs, read_form

PATH = "/oai/v1/files"
MAX_LIMIT = 10_000  # and the default, as OpenAI has it: clients that know no pages see every file
router = APIRouter(prefix=PATH, tags=["files"], route_class=FileRoute)
_FileId = Annotated[str, Path(max_length=64)]
_EXAMPLES: dict[str, dict[str, Any]] = {"batch": {"file": "@requests.jsonl", "purpose": "batch"}}
_CONTENT: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": {BYTES: {}}}}


@router.post("", openapi_extra=form_docs(OpenAIFileForm, **_EXAMPLES))
async def create_file(request: Request) -> Response:
    """Keep a file. When this answers, it survives a crash and a power cut. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    hub.disk.check()
    async with hub.idempotency.begin(caller.key_id, request.headers.get(HEADER)) as once:
        form = await read_form(
            request, OpenAIFileForm, lambda: hub.files.draft(max_bytes=hub.settings.max_file_bytes)
        )
        answer = await keep_file(
            form,
            hub.files,
            once,
            owner=caller.key_id,
            ttl_s=hub.settings.files_ttl_s,
            render=lambda record: to_json(openai_file(record)),
        )
    return Response(answer, media_type=JSON)


@router.get("")
async def list_files(
    request: Request,
    purpose: Purpose | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    after: Annotated[str | None, Query(max_length=64)] = None,
    order: Literal["asc", "desc"] = "desc",
) -> Json:
    """The files of this key; `after` is the id of the last one seen. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    files = services(request).files
    records, has_more = await files.list(
        caller.key_id,
        purpose=purpose,
        limit=limit,
        after=None if after is None else await _place(files, caller.key_id, after),
        is_newest_first=order == "desc",
    )
    return Json(
        {
            "object": "list",
            "data": list(map(openai_file, records)),
            "first_id": records[0].id if records else None,
            "last_id": records[-1].id if records else None,
            "has_more": has_more,
        }
    )


async def _place(files: FileStore, owner: str, file_id: str) -> FilePlace:
    try:
        return (await files.find(owner, file_id)).place
    except ServiceError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise invalid("after", "names no file of this key") from error


@router.get("/{file_id}")
async def get_file(request: Request, file_id: _FileId) -> Json:
    """What is known of a file. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    return Json(openai_file(await services(request).files.find(caller.key_id, file_id)))


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
    return Json({"id": file_id, "object": "file", "deleted": True})
