"""Reads a multipart form with one file into a pydantic body; and how such a form appears in OpenAPI.

The body's fields are checked as those of JSON bodies are, and its problems have the same shape.
"""

import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request

from engines.contract.errors import ErrorCode
from server.errors import ServiceError, invalid
from server.http.multipart import Event, PartBegins, boundary_of, read_parts
from server.http.uploads import FORM_BYTES, Spool, Upload
from server.wire.json_body import body_docs
from server.wire.problems import validation_error

_FILE = "file"


class Form(BaseModel):
    """Base of form bodies. Every value arrives as text, so numbers and truth are read from it.

    Unknown parts are ignored, those in `refused` are not supported and named. A part of a field in `lists` may be
    repeated, and be spelt `name[]`; its text is one value, several with commas, or a JSON array.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    refused: ClassVar[dict[str, str]] = {}
    lists: ClassVar[frozenset[str]] = frozenset()


_Form = TypeVar("_Form", bound=Form)


async def read_form(request: Request, model: type[_Form], spool: Spool) -> tuple[_Form, Upload]:
    """The fields and the file of the form. The route must be an `UploadRoute`, which removes the file at its end.

    Raises ServiceError: VALIDATION_ERROR with the field at fault, or `body`; PAYLOAD_TOO_LARGE.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    collector = _Collector(model, spool, request.scope["state"]["uploads"])
    async for event in read_parts(_chunks(request), boundary):
        await collector.take(event)
    upload = await collector.upload()
    try:
        return model.model_validate(collector.values()), upload
    except ValidationError as error:
        raise validation_error(error) from None


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:  # the layer that watches for it ends the request
        raise invalid("body", "ends in the middle of the form") from None


class _Collector:
    """Keeps fields that the model knows, sends the file to disk, and drops the rest."""

    def __init__(self, model: type[Form], spool: Spool, uploads: list[Upload]) -> None:
        self._model = model
        self._spool = spool
        self._uploads = uploads
        self._fields: list[tuple[str, bytearray]] = []
        self._field_bytes = 0
        self._sink: Upload | bytearray | None = None
        self._file: Upload | None = None

    async def take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._sink = self._begin(event.name)
        elif isinstance(self._sink, Upload):
            await self._sink.add(event)
        elif self._sink is not None:
            self._field_bytes += len(event)
            if self._field_bytes > FORM_BYTES:
                message = f"the fields of a form may have at most {FORM_BYTES} bytes together"
                raise ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, message)
            self._sink += event

    def _begin(self, name: str) -> Upload | bytearray | None:
        if name == _FILE:
            if self._file is not None:
                raise invalid(_FILE, "must be one file")
            self._file = self._spool.open(self._uploads)
            return self._file
        name = name.partition("[")[0]
        if name in self._model.refused:
            raise invalid(name, self._model.refused[name])
        if name not in self._model.model_fields:
            return None
        if name not in self._model.lists and any(name == known for known, _ in self._fields):
            raise invalid(name, "is given twice")
        self._fields.append((name, bytearray()))
        return self._fields[-1][1]

    async def upload(self) -> Upload:
        if self._file is None:
            raise invalid(_FILE, "is required")
        await self._file.flush()
        return self._file

    def values(self) -> dict[str, Any]:
        """Without empty ones: a form cannot say null."""
        values: dict[str, Any] = {}
        for name, raw in self._fields:
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                raise invalid(name, "must be UTF-8") from None
            if name in self._model.lists:
                values.setdefault(name, []).extend(_entries(text))
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
