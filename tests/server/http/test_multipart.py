"""Forms are taken apart as they come; what is no whole form, or too much of one, is refused."""

from collections.abc import AsyncIterator

import pytest

from server.errors import ServiceError
from server.http.multipart import MAX_PARTS, PartBegins, boundary_of, read_parts
from tests.fakes.forms import BOUNDARY, CONTENT_TYPE, form, part

NASTY = b"\r\n--b0undar\r\n--b0undary-\r\n\x00\xff--"


async def chunks(raw: bytes, size: int) -> AsyncIterator[bytes]:
    for place in range(0, len(raw), size):
        yield raw[place : place + size]


async def parts_of(raw: bytes, size: int = 1 << 16) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    async for event in read_parts(chunks(raw, size), BOUNDARY.encode()):
        if isinstance(event, PartBegins):
            found.append((event.name, b""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + event)
    return found


async def refusal(raw: bytes) -> str:
    with pytest.raises(ServiceError) as caught:
        await parts_of(raw)
    return caught.value.message


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_parts_come_whole_however_the_body_is_cut(size: int) -> None:
    raw = form(part("model", "a"), part("file", NASTY, "../../etc/passwd"), part("file", b""))

    assert await parts_of(raw, size) == [("model", b"a"), ("file", NASTY), ("file", b"")]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ends in the middle"),
        (b"hello", "is not valid"),
        (part("a", "b"), "ends in the middle"),
        (form(part("a", "b"))[:-6], "ends in the middle"),
        (form(*[part("a", "")] * (MAX_PARTS + 1)), "at most 64 parts"),
        (
            f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
            "without a name",
        ),
        (f"--{BOUNDARY}\r\n{'X: y' * 5000}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(), "is not valid"),
        (form(b"".join([f"--{BOUNDARY}\r\n".encode(), b"A: b\r\n" * 20, b"\r\n\r\n"])), "is not valid"),
    ],
)
async def test_what_is_no_form_is_refused(raw: bytes, words: str) -> None:
    assert words in await refusal(raw)


def test_boundary_is_read_from_the_content_type() -> None:
    assert boundary_of(CONTENT_TYPE) == BOUNDARY.encode()
    assert boundary_of(f'Multipart/Form-Data; boundary="{BOUNDARY}"') == BOUNDARY.encode()


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_other_content_types_are_refused(kind: str) -> None:
    with pytest.raises(ServiceError, match="multipart/form-data and a boundary"):
        boundary_of(kind)
