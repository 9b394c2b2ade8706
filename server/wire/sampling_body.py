"""The part of a body that says how tokens are drawn, the same in chat and plain generation."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from engines.contract.chat import Sampling
from server.errors import invalid
from server.wire.fields import Body, Count, Int64, ModelName, Penalty, StopString, TextOrList

_MAX_STOPS = 8
_MAX_BIASES = 1024
_MAX_TOKEN_ID_DIGITS = 10


class StreamOptions(Body):
    include_usage: bool | None = Field(None, description="OpenAI dialect: usage as a chunk of its own")


class SamplingBody(Body):
    """Null means absent: some SDKs send every field. vLLM's extras (min_p, top_k, ...) keep their names."""

    model: ModelName
    max_tokens: Count | None = Field(
        None, description="Most tokens of the answer; capped by the model's limit"
    )
    min_tokens: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="No end before so many tokens"
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None, description="0: the likeliest token each time; the model's own default, else 1"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Draw from the likeliest tokens that make up this share"
    )
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1, description="Draw from so many; 0, -1: all")] | None = (
        None
    )
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Draw from tokens with at least this share of the likeliest one's probability"
    )
    stop: TextOrList[StopString, StopString] | None = Field(
        None, description="At most 8; the answer ends before them"
    )
    seed: Int64 | None = Field(None, description="Of the drawing of tokens")
    n: Annotated[int, Field(ge=1, le=8)] | None = Field(None, description="Number of choices")
    presence_penalty: Penalty | None = Field(None, description="Against tokens that occurred")
    frequency_penalty: Penalty | None = Field(None, description="Against tokens, as often as they occurred")
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = Field(
        None, description="Also against the prompt's tokens; 1: the model's own default"
    )
    logit_bias: Annotated[dict[str, Any], Field(description="Token id to -100..100")] | None = None
    ignore_eos: bool | None = Field(None, description="Go on after the model's end; for measuring")
    stream: bool | None = Field(None, description="Answer as server-sent events")
    stream_options: StreamOptions | None = Field(None, description="Only together with stream")
    user: Annotated[str, Field(max_length=512)] | None = Field(None, description="Accepted, without effect")
    metadata: dict[str, Any] | None = Field(None, description="Accepted, without effect")

    refused: ClassVar[dict[str, str]] = {
        "stop_token_ids": "is not supported; use stop",
        "guided_json": "is not supported; use response_format",
        "guided_regex": "is not supported; use response_format",
        "guided_choice": "is not supported; use response_format",
        "guided_grammar": "is not supported; use response_format",
        "structured_outputs": "is not supported; use response_format",
    }

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


def sampling(body: SamplingBody, *, max_tokens: int | None, logprobs: int | None) -> Sampling:
    """Raises VALIDATION_ERROR for fields that contradict each other."""
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "is only allowed together with stream")
    if max_tokens is not None and (body.min_tokens or 0) > max_tokens:
        raise invalid("min_tokens", "must not be above max_tokens")
    return Sampling(
        max_tokens=max_tokens,
        min_tokens=body.min_tokens or 0,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        seed=body.seed,
        stop=_stops(body.stop),
        n=body.n or 1,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        repetition_penalty=body.repetition_penalty or 1.0,
        logprobs=logprobs,
        logit_bias=_logit_bias(body.logit_bias),
        ignore_eos=bool(body.ignore_eos),
    )


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    if isinstance(stop, str):
        return (stop,)
    if len(stop) > _MAX_STOPS:
        raise invalid("stop", f"must have at most {_MAX_STOPS} entries")
    return tuple(stop)


def _logit_bias(biases: dict[str, Any] | None) -> dict[int, float] | None:
    """Keys are the client's, so problems name the field only. Which tokens exist is for the engine to say."""
    if not biases:
        return None
    if len(biases) > _MAX_BIASES:
        raise invalid("logit_bias", f"must have at most {_MAX_BIASES} entries")
    result = {}
    for token_id, bias in biases.items():
        if not (token_id.isascii() and token_id.isdigit() and len(token_id) <= _MAX_TOKEN_ID_DIGITS):
            raise invalid("logit_bias", "must have token ids as keys")
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not -100 <= bias <= 100:
            raise invalid("logit_bias", "must have values from -100 to 100")
        result[int(token_id)] = float(bias)
    return result
