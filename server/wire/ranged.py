"""Answers with a file's content, whole or one range of bytes. Knows neither where the content lies nor its headers."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from server.envelope import error_response
from server.errors import invalid
from server.wire.byte_range import UnsatisfiableRangeError, parse_range

Read = Callable[[int, int], AsyncIterator[bytes]]


class Content(NamedTuple):
    """`etag` changes with the content; `headers` are sent with every answer that has some of it."""

    size_bytes: int
    content_type: str
    etag: str
    headers: Mapping[str, str]


def ranged_answer(request: Request, content: Content, read: Read) -> Response:
    """What a GET or HEAD of `content` asks for; `read` gives the bytes from one place up to another."""
    try:
        wanted = _wanted_range(request, content)
    except UnsatisfiableRangeError:
        return _unsatisfiable(request, content)
    start, end = wanted or (0, content.size_bytes)
    headers = {**content.headers, "Accept-Ranges": "bytes", "ETag": content.etag}
    headers["Content-Length"] = str(end - start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size_bytes}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=content.content_type)
    pieces = _pieces(read(start, end))
    return StreamingResponse(pieces, status_code=status, headers=headers, media_type=content.content_type)


def _wanted_range(request: Request, content: Content) -> tuple[int, int] | None:
    """None: the whole file, also where the client has a part of another one (`If-Range`)."""
    if request.headers.get("if-range", content.etag) != content.etag:
        return None
    return parse_range(request.headers.get("range"), content.size_bytes)


def _unsatisfiable(request: Request, content: Content) -> Response:
    response = error_response(request.scope, invalid("Range", "begins behind the end of the file"))
    response.status_code = 416
    response.headers["Content-Range"] = f"bytes */{content.size_bytes}"
    return response


async def _pieces(reading: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(reading):  # type: ignore[type-var]  # storages give async generators
        async for piece in reading:
            yield piece
