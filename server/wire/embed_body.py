"""The body of an embedding request, the same in both dialects, and its translation into the contract. Pure."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from engines.contract.embed import EmbedRequest
from server.wire.fields import Body, Count, ModelName
from server.wire.problems import OURS

MAX_INPUTS = 2048
Encoding = Literal["float", "base64"]
_Text = Annotated[str, Field(min_length=1)]


def _input_kind(value: object) -> str | None:
    """None for anything else, token ids included: OpenAI takes those, but they mean nothing to another tokenizer."""
    if isinstance(value, str):
        return "~text"
    is_ids = isinstance(value, list) and bool(value) and type(value[0]) in (int, list)
    return "~texts" if isinstance(value, list) and not is_ids else None


_Input = Annotated[
    Annotated[_Text, Tag("~text")]
    | Annotated[list[_Text], Field(min_length=1, max_length=MAX_INPUTS), Tag("~texts")],
    Discriminator(
        _input_kind,
        custom_error_type=OURS,
        custom_error_message="must be a string or a list of strings; token ids are not supported",
    ),
]


class EmbedBody(Body):
    """OpenAI's embedding request, and `task` and `truncate`, which are ours."""

    model: ModelName
    input: _Input = Field(description="One text, or at most 2048")
    dimensions: Count | None = Field(None, description="Shorter vectors, where the model allows it")
    encoding_format: Encoding | None = Field(
        None, description="`float`: lists of numbers; `base64`: little-endian float32"
    )
    task: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Puts the model's prompt of this name before each text, for example `query`"
    )
    truncate: bool | None = Field(None, description="Cut texts that are too long instead of refusing them")
    user: str | None = None

    @property
    def encoding(self) -> Encoding:
        return self.encoding_format or "float"


def parse_embed(body: EmbedBody) -> EmbedRequest:
    return EmbedRequest(
        inputs=(body.input,) if isinstance(body.input, str) else tuple(body.input),
        dimensions=body.dimensions,
        task=body.task,
        truncate=bool(body.truncate),
    )
