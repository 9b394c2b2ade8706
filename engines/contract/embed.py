"""Embeddings and reranking: what a client's request becomes, what an engine answers, and the engines' protocols."""

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from engines.contract.types import Priority, Usage


class EmbedRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="embed"):
    """Texts to turn into vectors.

    `dimensions` asks for shorter vectors of unit length; None is the model's own size. `task` names a prompt of the
    model or of the backend's options, put before each text. A text longer than the model reads is refused, or cut at
    its end if `truncate` is set.
    """

    inputs: tuple[str, ...]
    dimensions: int | None = None
    task: str | None = None
    truncate: bool = False


class Vectors(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Vectors of the inputs from number `first` on: little-endian float32, `dimensions` numbers each."""

    first: int
    dimensions: int
    data: bytes


class RerankRequest(msgspec.Struct, frozen=True, omit_defaults=True, tag="rerank"):
    """Documents to score against a query; pairs longer than the model reads are treated as in `EmbedRequest`."""

    query: str
    documents: tuple[str, ...]
    truncate: bool = False


class Scores(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Relevance of the documents from number `first` on; higher is better, 0..1 where the model's head allows."""

    first: int
    scores: tuple[float, ...]


class EmbedEngine(Protocol):
    """An engine of modality `embedding`. As in `ChatEngine`: awaiting validates and admits, iterating produces.

    All `Vectors`, in any order, then exactly one `Usage`.
    """

    async def embed(
        self, request: EmbedRequest, priority: Priority
    ) -> AsyncGenerator[Vectors | Usage, None]: ...


class RerankEngine(Protocol):
    """An engine of modality `rerank`; see `EmbedEngine`."""

    async def rerank(
        self, request: RerankRequest, priority: Priority
    ) -> AsyncGenerator[Scores | Usage, None]: ...
