"""From a form that was read to a file that exists. Knows no dialect."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from server import failpoints
from server.files import Draft, FileRecord, FileStore, clean_filename
from server.wire.file_body import OpenAIFileForm
from server.wire.file_render import content_type_of
from server.wire.form_body import ReadForm

Render = Callable[[FileRecord], bytes]
_Form = TypeVar("_Form", bound=OpenAIFileForm)


async def keep_file(
    form: ReadForm[_Form, Draft], files: FileStore, *, owner: str, ttl_s: float, render: Render
) -> bytes:
    """The answer, once the file is durable. `ttl_s` is its life unless the form names one.

    Raises ServiceError: STORAGE_FULL, STORAGE_UNAVAILABLE, INTERNAL_ERROR; then there is no file.
    """
    record = await _seal(form, owner, ttl_s)
    answer = render(record)
    await files.add(record)
    failpoints.reach("upload.after_row")
    return answer


async def _seal(form: ReadForm[_Form, Draft], owner: str, ttl_s: float) -> FileRecord:
    sealed = await form.file.seal()
    now = datetime.now(UTC)
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
