"""GET /v1/events: changes of state of all backends as they happen, as server-sent events."""

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from msgspec.structs import asdict

from server.caller import Permission
from server.deps import require, services
from server.envelope import to_json
from server.streaming import EVENTS

PING_S = 15.0
router = APIRouter(tags=["backends"])


@router.get("/v1/events", response_class=StreamingResponse)
async def stream_events(request: Request) -> Response:
    """`backend.state` events: first one for each backend as it is, then one for every change. Needs `models:manage`.

    `data` has `backend_id`, `state`, `detail` and `since`. A backend that is or was replaced has `backend.replacement`
    events in the same way, with `number` and `error` besides. The stream lasts until the client leaves.
    """
    require(request, Permission.MODELS_MANAGE)
    changes = services(request).supervisor.feed.changes(PING_S)
    frames = (
        EVENTS.ping if change is None else _frame(change.event, asdict(change)) async for change in changes
    )
    return StreamingResponse(frames, media_type=EVENTS.content_type)


def _frame(event: str, fields: dict[str, object]) -> bytes:
    return f"event: {event}\ndata: ".encode() + to_json(fields) + b"\n\n"
