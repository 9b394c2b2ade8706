"""Bodies of plain generation in both dialects, and their translation into the contract. Pure."""

from typing import Annotated, ClassVar

from pydantic import Discriminator, Field, Tag

from engines.contract.chat import GenerateRequest, Sampling
from server.errors import invalid
from server.wire.fields import TextOrList
from server.wire.output_format import ResponseFormatBody, output_format
from server.wire.problems import OURS
from server.wire.sampling_body import SamplingBody, sampling

MAX_PROMPTS = 64
_DEFAULT_MAX_TOKENS = 16  # OpenAI's, which clients of this old endpoint rely on
_TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]
_TokenIds = Annotated[list[_TokenId], Field(min_length=1)]


def _prompt_kind(value: object) -> str | None:
    if isinstance(value, str):
        return "~text"
    if not isinstance(value, list):
        return None
    kinds = {"~ids": int, "~id_lists": list}
    return next((tag for tag, kind in kinds.items() if value and type(value[0]) is kind), "~texts")


_Prompt = Annotated[
    Annotated[str, Tag("~text")]
    | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS), Tag("~texts")]
    | Annotated[_TokenIds, Tag("~ids")]
    | Annotated[list[_TokenIds], Field(max_length=MAX_PROMPTS), Tag("~id_lists")],
    Discriminator(_prompt_kind, custom_error_type=OURS, custom_error_message="must be a string or a list"),
]
_REFUSED = SamplingBody.refused | {"suffix": "is not supported"}


class GenerateBody(SamplingBody):
    """POST /v1/inference/generate: one prompt or several, as text."""

    prompt: TextOrList[str, str] = Field(description="One text, or at most 64")
    response_format: ResponseFormatBody | None = Field(None, description="What shape the answer must have")

    refused: ClassVar[dict[str, str]] = _REFUSED


class CompletionBody(SamplingBody):
    """POST /oai/v1/completions, OpenAI's legacy endpoint: prompts may also be token ids."""

    prompt: _Prompt = Field(description="One text or list of token ids, or at most 64 of either")
    response_format: ResponseFormatBody | None = Field(None, description="What shape the answer must have")
    echo: bool | None = Field(None, description="The prompt before the answer")
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="So many alternatives per token; not together with echo"
    )
    best_of: Annotated[int, Field(ge=1)] | None = Field(None, description="Must equal n")

    refused: ClassVar[dict[str, str]] = _REFUSED


def parse_generate(body: GenerateBody) -> GenerateRequest:
    """Raises VALIDATION_ERROR with the path of the field at fault."""
    return _request(body, body.prompt, sampling(body, max_tokens=body.max_tokens, logprobs=None))


def parse_completion(body: CompletionBody) -> GenerateRequest:
    """As `parse_generate`."""
    if body.best_of not in (None, body.n or 1):
        raise invalid("best_of", "must equal n")
    if body.echo and body.logprobs is not None:
        raise invalid("logprobs", "is not supported together with echo")
    max_tokens = body.max_tokens or max(_DEFAULT_MAX_TOKENS, body.min_tokens or 0)
    drawn = sampling(body, max_tokens=max_tokens, logprobs=body.logprobs)
    return _request(body, body.prompt, drawn, echo=bool(body.echo))


def _request(
    body: GenerateBody | CompletionBody,
    prompt: str | list[str] | list[int] | list[list[int]],
    drawn: Sampling,
    *,
    echo: bool = False,
) -> GenerateRequest:
    return GenerateRequest(
        prompts=_prompts(prompt),
        sampling=drawn,
        echo=echo,
        output_format=output_format(body.response_format),
        stream=bool(body.stream),
    )


def _prompts(prompt: str | list[str] | list[int] | list[list[int]]) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(prompt, str):
        return (prompt,)
    if len(prompt) == 0:
        raise invalid("prompt", "must not be empty")
    ids = tuple(part for part in prompt if isinstance(part, int))
    if ids:
        return (ids,)
    if len(prompt) > MAX_PROMPTS:
        raise invalid("prompt", f"must have at most {MAX_PROMPTS} entries")
    return tuple(
        part if isinstance(part, str) else tuple(part) for part in prompt if not isinstance(part, int)
    )
