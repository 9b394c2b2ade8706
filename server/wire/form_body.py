"""Reads a multipart form with one file into a pydantic body; and how such a form appears in OpenAPI.

The body's fields are checked as those of JSON bodies are, and its problems have the same shape.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request

from engines.contract.errors import ErrorCode
from server.errors import ServiceError, invalid
from server.files import FileWriter
from server.http.multipart import Event, PartBegins, boundary_of, read_parts
from server.http.uploads import FORM_BYTES
from server.wire.json_body import body_docs
from server.wire.problems import validation_error

_FILE = "file"


class Form(BaseModel):
    """Base of form bodies. Every value arrives as text, so numbers and truth are read from it.

    Unknown parts are ignored, those in `refused` are not supported and named. A part of a field in `lists` may be
    repeated, and be spelt `name[]`; its text is one value, several with commas, or a JSON array. Parts `name[key]` of a
    field in `nested` make one object.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    refused: ClassVar[dict[str, str]] = {}
    lists: ClassVar[frozenset[str]] = frozenset()
    nested: ClassVar[frozenset[str]] = frozenset()


_Form = TypeVar("_Form", bound=Form)
_File = TypeVar("_File", bound=FileWriter)


class ReadForm(NamedTuple, Generic[_Form, _File]):
    """`filename` is as the client tells it."""

    body: _Form
    file: _File
    filename: str | None


async def read_form(
    request: Request, model: type[_Form], open_file: Callable[[], _File]
) -> ReadForm[_Form, _File]:
    """The fields and the file of the form. The route must be an `UploadRoute`, which removes the file at its end.

    Raises ServiceError: VALIDATION_ERROR with the field at fault, or `body`; PAYLOAD_TOO_LARGE.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    collector = _Collector(model, open_file, request.scope["state"]["uploads"])
    async for event in read_parts(_chunks(request), boundary):
        await collector.take(event)
    file = await collector.file()
    try:
        return ReadForm(model.model_validate(collector.values()), file, collector.filename)
    except ValidationError as error:
        raise validation_error(error) from None


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:  # the layer that watches for it ends the request
        raise invalid("body", "ends in the middle of the form") from None


class _Field(NamedTuple):
    """`key` is of a field in `nested` only."""

    name: str
    key: str
    raw: bytearray


class _Collector(Generic[_File]):
    """Keeps fields that the model knows, sends the file to disk, and drops the rest."""

    def __init__(self, model: type[Form], open_file: Callable[[], _File], uploads: list[FileWriter]) -> None:
        self.filename: str | None = None
        self._model = model
        self._open_file = open_file
        self._uploads = uploads
        self._fields: list[_Field] = []
        self._field_bytes = 0
        self._sink: _File | bytearray | None = None
        self._file: _File | None = None

    async def take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._sink = self._begin(event)
        elif isinstance(self._sink, bytearray):
            self._field_bytes += len(event)
            if self._field_bytes > FORM_BYTES:
                message = f"the fields of a form may have at most {FORM_BYTES} bytes together"
                raise ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, message)
            self._sink += event
        elif self._sink is not None:
            await self._sink.add(event)

    def _begin(self, part: PartBegins) -> _File | bytearray | None:
        if part.name == _FILE:
            return self._begin_file(part)
        name, _, key = part.name.partition("[")
        if name in self._model.refused:
            raise invalid(name, self._model.refused[name])
        if name not in self._model.model_fields:
            return None
        field = _Field(name, key.removesuffix("]") if name in self._model.nested else "", bytearray())
        if name not in self._model.lists and any(field[:2] == known[:2] for known in self._fields):
            raise invalid(part.name if field.key else name, "is given twice")
        self._fields.append(field)
        return field.raw

    def _begin_file(self, part: PartBegins) -> _File:
        if self._file is not None:
            raise invalid(_FILE, "must be one file")
        self.filename = part.filename
        self._file = self._open_file()
        self._uploads.append(self._file)
        return self._file

    async def file(self) -> _File:
        if self._file is None:
            raise invalid(_FILE, "is required")
        await self._file.flush()
        return self._file

    def values(self) -> dict[str, Any]:
        """Without empty ones: a form cannot say null."""
        values: dict[str, Any] = {}
        for name, key, raw in self._fields:
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                raise invalid(name, "must be UTF-8") from None
            if name in self._model.lists:
                values.setdefault(name, []).extend(_entries(text))
            elif key and text:
                nested = values.setdefault(name, {})
                if isinstance(nested, dict):
                    nested[key] = text
            elif text:
                values[name] = text
        return values


def _entries(text: str) -> list[object]:
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        return entries if isinstance(entries, list) else [text]
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def form_docs(model: type[Form], **examples: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads `model` with `read_form`."""
    docs = body_docs(model, **examples)
    contents = docs["requestBody"]["content"]
    content = contents["multipart/form-data"] = contents.pop("application/json")
    schema = content["schema"]
    file = {"type": "string", "format": "binary", "title": "File", "description": "The file itself"}
    schema["properties"] = {_FILE: file} | schema["properties"]
    schema["required"] = [_FILE, *schema.get("required", ())]
    return docs
