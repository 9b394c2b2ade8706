"""From a form that was read to a file that exists. Knows no dialect."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar

import msgspec

from server import failpoints
from server.clock import utc_now
from server.files import Draft, FileRecord, FileStore, clean_filename
from server.idempotency import Once
from server.wire.file_body import OpenAIFileForm
from server.wire.file_render import content_type_of
from server.wire.form_body import ReadForm

Render = Callable[[FileRecord], bytes]
_Form = TypeVar("_Form", bound=OpenAIFileForm)


async def keep_file(
    form: ReadForm[_Form, Draft], files: FileStore, once: Once, *, owner: str, ttl_s: float, render: Render
) -> bytes:
    """The answer, once the file is durable; or that of the first request. The file lives `ttl_s` unless the form says.

    Raises ServiceError: VALIDATION_ERROR, CONFLICT about the `Idempotency-Key`; STORAGE_FULL, STORAGE_UNAVAILABLE,
    INTERNAL_ERROR. Then there is no file, or with STORAGE_UNAVAILABLE maybe one that nobody was told of.
    """
    if (stored := await once.recall(_fingerprint(form))) is not None:
        return stored
    record = await _seal(form, owner, ttl_s)
    answer = render(record)
    await files.add(record, lambda connection: once.remember(connection, answer))
    failpoints.reach("upload.after_row")
    return answer


def _fingerprint(form: ReadForm[_Form, Draft]) -> str:
    """Of the content and all that is told about it."""
    life = form.body.expires_after
    told = (form.file.sha256, form.body.purpose, clean_filename(form.filename), life and life.seconds)
    return sha256(msgspec.json.encode(told)).hexdigest()


async def _seal(form: ReadForm[_Form, Draft], owner: str, ttl_s: float) -> FileRecord:
    sealed = await form.file.seal()
    now = utc_now()
    life = form.body.expires_after
    return FileRecord(
        id=sealed.id,
        owner=owner,
        purpose=form.body.purpose,
        filename=clean_filename(form.filename),
        content_type=content_type_of(form.body.purpose),
        size_bytes=sealed.size_bytes,
        sha256=sealed.sha256,
        created_at=now,
        expires_at=now + timedelta(seconds=ttl_s if life is None else life.seconds),
    )
