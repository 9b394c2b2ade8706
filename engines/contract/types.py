"""Words that every modality shares: modality, usage, why an answer ended."""

import enum
from typing import Literal

import msgspec

FinishReason = Literal["stop", "length", "tool_calls"]


class Modality(enum.StrEnum):
    """What a backend does; the values are the wire's (`GET /v1/models?modality=`)."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"  # ours
    IMAGE = "image"
    AUDIO = "audio"  # speech in either direction: `Capabilities` says which


class Priority(enum.IntEnum):
    """Scheduling class of a request; lower runs first, as in vLLM."""

    INTERACTIVE = 0
    DEFAULT = 10
    BATCH = 100


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What one finished request cost. `cached_tokens` is the part of the prompt that was not computed again.

    `audio_s` is the length of the sound that was heard or spoken; tokens are 0 where a model has none.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_s: float = 0.0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens
