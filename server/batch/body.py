"""Bodies that submit a batch, one per dialect. Pure."""

import base64
import binascii
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from server.batch.endpoints import OPENAI_URLS
from server.envelope import to_json
from server.errors import invalid
from server.wire.fields import Body
from server.wire.file_render import URI_SCHEME
from server.wire.problems import OURS

MAX_INLINE_BYTES = 10 * 1024 * 1024
MAX_BODY_BYTES = MAX_INLINE_BYTES // 3 * 4 + 256 * 1024
_MAX_METADATA_BYTES = 16 * 1024
_INPUTS = ("input_file_url", "input_file_base64", "input_file_id")

Window = Literal["24h", "4h", "1h"]
_FileId = Annotated[str, Field(min_length=1, max_length=64)]


class BatchBody(Body):
    """A native batch: exactly one of the three inputs."""

    input_file_url: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None,
        description="`scaigrid://file/{id}` from POST /v1/files, its id alone, or an https URL of an allowed host",
    )
    input_file_base64: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The JSONL itself in base64, up to 10 MB"
    )
    input_file_id: _FileId | None = Field(None, description="Id of a file of POST /v1/files")
    endpoint_completion_window: Window | None = Field(None, description="Time for all of it; default 24h")
    metadata: dict[str, Any] | None = Field(None, description="Whatever helps you to tell your batches apart")

    refused: ClassVar[dict[str, str]] = {"completion_window": "is spelt endpoint_completion_window here"}

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and len(to_json(value)) > _MAX_METADATA_BYTES:
            raise PydanticCustomError(OURS, "must have at most 16 KiB as JSON")
        return value

    def input(self) -> tuple[str, str]:
        """Name and value of the one input. Raises VALIDATION_ERROR."""
        given = [name for name in _INPUTS if getattr(self, name) is not None]
        if not given:
            raise invalid("input_file_url", f"or one of {', '.join(_INPUTS[1:])} is required")
        if len(given) > 1:
            raise invalid(given[1], f"cannot be given together with {given[0]}")
        return given[0], getattr(self, given[0])


class OpenAIBatchBody(Body):
    """OpenAI's batch: a file that was uploaded before, and one endpoint for all lines."""

    input_file_id: _FileId = Field(description="Id of a file of POST /oai/v1/files with purpose `batch`")
    endpoint: str = Field(
        description="What every line has as its `url`", json_schema_extra={"enum": list(OPENAI_URLS)}
    )
    completion_window: Window = Field(description="`24h`, and here also `4h` and `1h`")
    metadata: (
        Annotated[
            dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=512)]],
            Field(max_length=16),
        ]
        | None
    ) = Field(None, description="Up to 16 strings by name")

    refused: ClassVar[dict[str, str]] = {
        "output_expires_after": "is not supported: the operator sets how long results are kept"
    }

    @field_validator("endpoint")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in OPENAI_URLS:
            raise PydanticCustomError(OURS, "is none of the endpoints that a batch may use")
        return value


def decode_inline(text: str) -> bytes:
    """Raises VALIDATION_ERROR, PAYLOAD_TOO_LARGE is the guards'."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("input_file_base64", "is not base64") from None
    if len(content) > MAX_INLINE_BYTES:
        raise invalid("input_file_base64", "must hold at most 10 MB: upload a file instead")
    return content


def fingerprint(path: str, raw: bytes) -> str:
    """Of a submission, for its `Idempotency-Key`."""
    return sha256(path.encode() + b"\n" + raw).hexdigest()


def file_id_of(url: str) -> str | None:
    """The id of an own file that `url` names; None for any other URL."""
    if url.startswith(URI_SCHEME):
        return url.removeprefix(URI_SCHEME)
    return url if url.startswith("file_") else None
