"""/v1/inference/batch: submit a file of requests, look how it goes, cancel it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from server.batch.body import BatchBody, fingerprint
from server.batch.paging import cursor_of, read_cursor, read_status
from server.batch.records import Batch
from server.batch.service import Submission
from server.batch.views import native_batch
from server.caller import Permission
from server.clock import utc_now
from server.deps import base_url, request_id, require, services
from server.envelope import Json, Pagination, success, to_json
from server.idempotency import HEADER
from server.streaming import JSON
from server.wire.json_body import body_docs, read_json
from server.wire.paging import DEFAULT_LIMIT, MAX_LIMIT

PATH = "/v1/inference/batch"
router = APIRouter(tags=["inference"])
_BatchId = Annotated[str, Path(max_length=64)]
_EXAMPLE: dict[str, dict[str, Any]] = {
    "file": {"input_file_url": "scaigrid://file/file_0123456789abcdef01234567"},
    "inline": {
        "input_file_base64": "eyJjdXN0b21faWQiOiAiMSIsICJtZXRob2QiOiAiUE9TVCIsIC4uLn0K",
        "endpoint_completion_window": "4h",
        "metadata": {"job": "nightly"},
    },
}


@router.post(PATH, openapi_extra=body_docs(BatchBody, **_EXAMPLE))
async def submit_batch(request: Request) -> Response:
    """Run many requests, each once, within a time. Needs `models:use`.

    The input is a JSONL file: every line has `custom_id`, `method` (`POST`), `url` (of any inference endpoint, native
    or OpenAI's) and `body`. It is checked as a whole before anything runs. When this answers, the batch survives a
    crash and a power cut. With an `Idempotency-Key` a repeated call gives the first one's answer.
    """
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    async with hub.idempotency.begin(caller.key_id, request.headers.get(HEADER)) as once:
        body = await read_json(request, BatchBody)
        if (stored := await once.recall(fingerprint(PATH, await request.body()))) is not None:
            return Response(stored, media_type=JSON)
        found = await hub.intake.take(caller.key_id, *body.input())
        submission = Submission(
            owner=caller.key_id,
            surface="native",
            endpoint=None,
            completion_window=body.endpoint_completion_window or "24h",
            metadata=body.metadata or {},
            base_url=base_url(request),
            input=found,
        )

        def remember(connection: Connection, batch: Batch) -> None:
            once.remember(connection, to_json(_answer(request, batch)))

        return Json(_answer(request, await hub.batches.submit(submission, remember)))


@router.get(PATH)
async def list_batches(
    request: Request,
    status: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Json:
    """The batches of this key, the newest first. `status` is one state, or several with commas. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    batches = services(request).batches
    found = await batches.list(
        caller.key_id, states=read_status(status), after=read_cursor(cursor), limit=limit + 1
    )
    has_more = len(found) > limit
    page = found[:limit]
    pagination = Pagination(has_more=has_more, next_cursor=cursor_of(page[-1]) if has_more else None)
    items = [native_batch(batch, base_url(request), utc_now()) for batch in page]
    return Json(success({"items": items}, request_id(request), pagination))


@router.get(PATH + "/{batch_id}")
async def get_batch(request: Request, batch_id: _BatchId) -> Json:
    """One batch: its state, counts, progress, and when it has ended the files of results. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    return Json(_answer(request, await services(request).batches.find(caller.key_id, batch_id)))


@router.post(PATH + "/{batch_id}/cancel")
async def cancel_batch(request: Request, batch_id: _BatchId) -> Json:
    """Start no further line; those under way end within ten seconds, and what has ended is kept. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    return Json(_answer(request, await services(request).batches.cancel(caller.key_id, batch_id)))


def _answer(request: Request, batch: Batch) -> dict[str, object]:
    return success(native_batch(batch, base_url(request), utc_now()), request_id(request))
