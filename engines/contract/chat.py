"""Chat and plain generation: what a client's request becomes, what an engine answers, and the engine's protocol.

Shapes follow OpenAI's chat completions, flattened: no HTTP types, no dictionaries but JSON schemas.
"""

from collections.abc import AsyncGenerator
from typing import Any, Literal, Protocol

import msgspec

from engines.contract.types import FinishReason, Priority, Usage

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(msgspec.Struct, frozen=True):
    """One call that the assistant made; `arguments` is JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """A PNG, JPEG or WebP file as the client sent it; nobody has looked inside."""

    data: bytes


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    """A sound file as the client sent it; nobody has looked inside."""

    data: bytes


Part = TextPart | ImagePart | AudioPart


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn. `tool_call_id` belongs to role `tool`, `tool_calls` and `reasoning` to role `assistant`.

    `parts` is set where there is more than text: text and media in their order. `content` is always the text alone.
    """

    role: Role
    content: str | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    parts: tuple[Part, ...] = ()


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON schema object."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool = False


class ToolChoice(msgspec.Struct, frozen=True):
    """`named` forces the tool called `name`; `required` forces any."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None


class OutputFormat(msgspec.Struct, frozen=True):
    """Constrains the text: any JSON object, or JSON that fits `schema`."""

    kind: Literal["json_object", "json_schema"]
    schema: dict[str, Any] | None = None


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How tokens are drawn. None means the model's own default.

    `logprobs` is the number of alternatives reported per token (0 to 20), None for none at all.
    `logit_bias` maps token ids to -100..100.
    """

    max_tokens: int | None = None
    min_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logprobs: int | None = None
    logit_bias: dict[int, float] | None = None
    ignore_eos: bool = False


class ChatRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="chat"):
    """A conversation to continue. With `stream` false the engine may answer in one delta per choice.

    `cache_salt` is the server's: requests share cached prompt prefixes only where it is equal, so that one key
    cannot time what another key asked.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    output_format: OutputFormat | None = None
    thinking: bool | None = None
    stream: bool = False
    cache_salt: str | None = None


class GenerateRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="generate"):
    """Prompts to continue, as text or token ids. Choice `index` is prompt number x `sampling.n` + sample number."""

    prompts: tuple[str | tuple[int, ...], ...]
    sampling: Sampling = Sampling()
    echo: bool = False
    output_format: OutputFormat | None = None
    stream: bool = False
    cache_salt: str | None = None


class ToolCallDelta(msgspec.Struct, frozen=True, array_like=True):
    """A piece of call number `index` of a choice; `id` and `name` come with its first piece only."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Alternative(msgspec.Struct, frozen=True, array_like=True):
    """One candidate token; `token` is its text, `data` its UTF-8 bytes (a token may hold part of a character)."""

    token: str
    data: bytes
    logprob: float


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """The token that was drawn and the most likely alternatives, best first."""

    chosen: Alternative
    top: tuple[Alternative, ...] = ()


class Delta(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """What one engine step (or the whole request, when not streaming) adds to choice `index`.

    The last delta of a choice carries `finish_reason`.
    """

    index: int
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None


ChatEvent = Delta | Usage


class ChatEngine(Protocol):
    """An engine of modality `chat`.

    Awaiting a method validates and admits (raises `EngineError`: VALIDATION_ERROR, BACKEND_RATE_LIMITED, ...);
    iterating produces deltas, then exactly one `Usage`. Closing the generator, or cancelling whoever iterates, stops
    the work at once.
    """

    async def chat(self, request: ChatRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]: ...

    async def generate(
        self, request: GenerateRequest, priority: Priority
    ) -> AsyncGenerator[ChatEvent, None]: ...
