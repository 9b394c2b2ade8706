"""Fields of forms are read and checked like those of JSON bodies; the file goes to disk."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field
from starlette.requests import Request

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.files import FileWriter
from server.http.uploads import Spool
from server.wire.form_body import Form, ReadForm, form_docs, read_form
from tests.fakes.edge import body_of, http_scope
from tests.fakes.forms import CONTENT_TYPE, form, part

FILE = part("file", b"sound", "a.wav")


class Sample(Form):
    model: Annotated[str, Field(min_length=1)]
    heat: Annotated[float, Field(ge=0, le=1)] | None = None
    loud: bool | None = None
    kinds: list[Literal["a", "b"]] | None = None

    lists: ClassVar[frozenset[str]] = frozenset({"kinds"})
    refused: ClassVar[dict[str, str]] = {"secret": "is not supported"}


@pytest.fixture
def uploads() -> list[FileWriter]:
    return []


async def read(
    folder: Path, uploads: list[FileWriter], *parts: bytes, kind: str = CONTENT_TYPE
) -> ReadForm[Sample, FileWriter]:
    scope = http_scope("/", method="POST", headers=[("Content-Type", kind)])
    scope["state"]["uploads"] = uploads
    request = Request(scope, body_of(form(*parts)))
    return await read_form(request, Sample, Spool(folder, max_bytes=100).open)


async def test_fields_and_file_are_read_in_any_order(tmp_path: Path, uploads: list[FileWriter]) -> None:
    parts = (part("heat", "0.5"), FILE, part("loud", "true"), part("model", "m"), part("other", "x"))

    body, upload, _ = await read(tmp_path, uploads, *parts)

    assert body == Sample(model="m", heat=0.5, loud=True, kinds=None)
    assert upload.path.read_bytes() == b"sound"
    assert uploads == [upload]


@pytest.mark.parametrize(
    "parts",
    [
        [part("kinds", "a"), part("kinds", "b")],
        [part("kinds[]", "a"), part("kinds[]", "b")],
        [part("kinds", '["a", "b"]')],
        [part("kinds", "a, b")],
        [part("kinds[0]", "a"), part("kinds[1]", "b")],
    ],
)
async def test_list_may_be_spelt_in_many_ways(
    tmp_path: Path, uploads: list[FileWriter], parts: list[bytes]
) -> None:
    body, _, _ = await read(tmp_path, uploads, FILE, part("model", "m"), *parts)

    assert body.kinds == ["a", "b"]


async def test_empty_field_counts_as_absent(tmp_path: Path, uploads: list[FileWriter]) -> None:
    body, _, _ = await read(tmp_path, uploads, FILE, part("model", "m"), part("heat", ""), part("kinds", ""))

    assert (body.heat, body.kinds) == (None, [])


@pytest.mark.parametrize(
    ("parts", "field", "words"),
    [
        ([part("model", "m")], "file", "is required"),
        ([FILE], "model", "is required"),
        ([FILE, part("model", "")], "model", "is required"),
        ([FILE, FILE, part("model", "m")], "file", "must be one file"),
        ([FILE, part("model", "m"), part("model", "n")], "model", "is given twice"),
        ([FILE, part("model", b"\xff")], "model", "must be UTF-8"),
        ([FILE, part("model", "m"), part("heat", "hot")], "heat", "must be a number"),
        ([FILE, part("model", "m"), part("heat", "nan")], "heat", "must be a finite number"),
        ([FILE, part("model", "m"), part("heat", "2")], "heat", "must be at most 1"),
        ([FILE, part("model", "m"), part("loud", "maybe")], "loud", "must be true or false"),
        ([FILE, part("model", "m"), part("kinds", "c")], "kinds.0", "must be 'a' or 'b'"),
        ([FILE, part("model", "m"), part("kinds", "[1]")], "kinds.0", "must be 'a' or 'b'"),
        ([FILE, part("model", "m"), part("kinds", "[" * 9999)], "kinds.0", "must be 'a' or 'b'"),
        ([FILE, part("model", "m"), part("secret[x]", "y")], "secret", "is not supported"),
    ],
)
async def test_wrong_form_is_refused_by_field(
    tmp_path: Path, uploads: list[FileWriter], parts: list[bytes], field: str, words: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        await read(tmp_path, uploads, *parts)

    assert caught.value.code is ErrorCode.VALIDATION_ERROR
    assert (caught.value.details[0].field, caught.value.details[0].message) == (field, words)


@pytest.mark.parametrize("parts", [[part("file", b"x" * 101)], [FILE, part("model", "m" * 70_000)]])
async def test_too_much_is_refused(tmp_path: Path, uploads: list[FileWriter], parts: list[bytes]) -> None:
    with pytest.raises(ServiceError) as caught:
        await read(tmp_path, uploads, *parts)

    assert caught.value.code is ErrorCode.PAYLOAD_TOO_LARGE


async def test_unknown_parts_may_be_large(tmp_path: Path, uploads: list[FileWriter]) -> None:
    body, _, _ = await read(
        tmp_path, uploads, part("cover", b"x" * 200_000, "c.png"), FILE, part("model", "m")
    )

    assert body.model == "m"


def test_docs_show_the_file_and_the_fields() -> None:
    content: dict[str, Any] = form_docs(Sample)["requestBody"]["content"]

    schema = content["multipart/form-data"]["schema"]
    assert list(content) == ["multipart/form-data"]
    assert schema["required"] == ["file", "model"]
    assert schema["properties"]["file"]["format"] == "binary"
