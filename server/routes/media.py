"""GET /v1/media/{token}: generated files by link. Needs no key: the token is the proof, see `server/auth.py`."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse

from engines.contract.errors import ErrorCode
from server.deps import request_id, services
from server.envelope import Json, error_body
from server.errors import ServiceError, invalid
from server.media import ROUTE, Media, MediaStore
from server.wire.byte_range import UnsatisfiableRangeError, parse_range

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
    try:
        wanted = _wanted_range(request, media)
    except UnsatisfiableRangeError:
        return _unsatisfiable(request, media)
    start, end = wanted or (0, media.size_bytes)
    headers = _headers(media) | {"Content-Length": str(end - start)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{media.size_bytes}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media.content_type)
    pieces = _pieces(store, media, start, end)
    return StreamingResponse(pieces, status_code=status, headers=headers, media_type=media.content_type)


def _wanted_range(request: Request, media: Media) -> tuple[int, int] | None:
    """None: the whole file, also where the client has a part of another one (`If-Range`)."""
    if request.headers.get("if-range", _etag(media)) != _etag(media):
        return None
    return parse_range(request.headers.get("range"), media.size_bytes)


def _unsatisfiable(request: Request, media: Media) -> Response:
    error = invalid("Range", "begins behind the end of the file")
    headers = {"Content-Range": f"bytes */{media.size_bytes}"}
    return Json(error_body(error, request_id(request)), status_code=416, headers=headers)


def _headers(media: Media) -> dict[str, str]:
    """Whoever opens the file in a browser sees a picture and nothing that could act."""
    suffix = _SUFFIXES[media.content_type]
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=300",
        "Content-Disposition": f'inline; filename="{media.name.digest[:16]}.{suffix}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": _etag(media),
    }


def _etag(media: Media) -> str:
    return f'"{media.name.digest}"'


async def _pieces(store: MediaStore, media: Media, start: int, end: int) -> AsyncIterator[bytes]:
    reading = store.read(media, start, end)
    async with aclosing(reading):  # type: ignore[type-var]  # storages give async generators
        async for piece in reading:
            yield piece
