"""GET /v1/media/{token}: generated files by link. Needs no key: the token is the proof, see `server/auth.py`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from engines.contract.errors import ErrorCode
from server.deps import services
from server.errors import ServiceError
from server.media import ROUTE, Media
from server.wire.ranged import Content, ranged_answer

router = APIRouter(tags=["media"])
_SUFFIXES = {"image/png": "png"}
_DOCS: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": {"image/png": {}}}}


@router.head(ROUTE, include_in_schema=False)
@router.get(ROUTE, response_class=Response, responses=_DOCS)
async def get_media(request: Request, token: Annotated[str, Path(max_length=200)]) -> Response:
    """A generated file, by the link that an answer gave. Needs no key; 404 when the link has expired.

    One range of bytes may be asked for.
    """
    store = services(request).media
    media = await store.find(token)
    if media is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "There is no such file, or its link has expired")
    content = Content(media.size_bytes, media.content_type, f'"{media.name.digest}"', _headers(media))
    return ranged_answer(request, content, lambda start, end: store.read(media, start, end))


def _headers(media: Media) -> dict[str, str]:
    """Whoever opens the file in a browser sees a picture and nothing that could act."""
    suffix = _SUFFIXES[media.content_type]
    return {
        "Cache-Control": "private, max-age=300",
        "Content-Disposition": f'inline; filename="{media.name.digest[:16]}.{suffix}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
