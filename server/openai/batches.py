"""/oai/v1/batches: OpenAI's batches, as its SDKs speak them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from server.batch.body import OpenAIBatchBody, fingerprint
from server.batch.records import Batch
from server.batch.service import Submission
from server.batch.views import openai_batch
from server.caller import Permission
from server.deps import base_url, require, services
from server.envelope import Json, to_json
from server.idempotency import HEADER
from server.streaming import JSON
from server.wire.json_body import body_docs, read_json

PATH = "/oai/v1/batches"
router = APIRouter(tags=["openai"])
_BatchId = Annotated[str, Path(max_length=64)]
_EXAMPLE: dict[str, dict[str, Any]] = {
    "chat": {
        "input_file_id": "file_0123456789abcdef01234567",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
}


@router.post(PATH, openapi_extra=body_docs(OpenAIBatchBody, **_EXAMPLE))
async def create_batch(request: Request) -> Response:
    """Run every line of a file as a request to one endpoint. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    async with hub.idempotency.begin(caller.key_id, request.headers.get(HEADER)) as once:
        body = await read_json(request, OpenAIBatchBody)
        if (stored := await once.recall(fingerprint(PATH, await request.body()))) is not None:
            return Response(stored, media_type=JSON)
        found = await hub.intake.take(caller.key_id, "input_file_id", body.input_file_id)
        submission = Submission(
            owner=caller.key_id,
            surface="openai",
            endpoint=body.endpoint,
            completion_window=body.completion_window,
            metadata=dict(body.metadata or {}),
            base_url=base_url(request),
            input=found,
        )

        def remember(connection: Connection, batch: Batch) -> None:
            once.remember(connection, to_json(openai_batch(batch)))

        return Json(openai_batch(await hub.batches.submit(submission, remember)))


@router.get(PATH)
async def list_batches(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> Json:
    """The batches of this key, the newest first; `after` is the id of the last one seen. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    batches = services(request).batches
    last = None if after is None else await batches.find(caller.key_id, after)
    place = None if last is None else (last.created_at, last.id)
    found = await batches.list(caller.key_id, after=place, limit=limit + 1)
    page = found[:limit]
    return Json(
        {
            "object": "list",
            "data": [openai_batch(batch) for batch in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": len(found) > limit,
        }
    )


@router.get(PATH + "/{batch_id}")
async def get_batch(request: Request, batch_id: _BatchId) -> Json:
    """One batch. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    return Json(openai_batch(await services(request).batches.find(caller.key_id, batch_id)))


@router.post(PATH + "/{batch_id}/cancel")
async def cancel_batch(request: Request, batch_id: _BatchId) -> Json:
    """Start no further line; what has ended is kept. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    return Json(openai_batch(await services(request).batches.cancel(caller.key_id, batch_id)))
