"""The form that makes a file, one class per dialect. Pure."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from server.files import Purpose
from server.wire.form_body import Form

MIN_LIFE_S = 3600
MAX_LIFE_S = 30 * 86400
ClientPurpose = Literal[Purpose.BATCH, Purpose.USER_DATA]


class ExpiresAfter(Form):
    """In a form `expires_after[anchor]` and `expires_after[seconds]`."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=MIN_LIFE_S, le=MAX_LIFE_S)]


class OpenAIFileForm(Form):
    """OpenAI's form; of its purposes those that batches need."""

    purpose: ClientPurpose = Field(
        description="`batch`: the JSONL input of a batch; `user_data`: what its lines refer to"
    )
    expires_after: ExpiresAfter | None = Field(
        None, description="`expires_after[anchor]=created_at` and `expires_after[seconds]`"
    )

    nested: ClassVar[frozenset[str]] = frozenset({"expires_after"})


class FileForm(OpenAIFileForm):
    purpose: ClientPurpose = Field(
        Purpose.BATCH,
        description="`batch` (default): the JSONL input of a batch; `user_data`: what its lines refer to",
    )
