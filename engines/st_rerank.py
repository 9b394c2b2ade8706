"""Reranking with CrossEncoder of sentence-transformers; imports that in `load`."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from engines.contract.embed import RerankRequest, Scores
from engines.contract.engine import MemoryEstimate
from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from engines.st_parts.engine import ModelEngine
from engines.st_parts.options import ModelOptions, estimate_memory
from engines.st_parts.pieces import Tokens
from engines.st_parts.reader import TooLong, too_long

if TYPE_CHECKING:
    from engines.st_parts.serving import Kind


class Options(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing besides what `ModelOptions` has."""


class Engine(ModelEngine[Options, list[float]]):
    """A `RerankEngine` over one CrossEncoder."""

    def _import_kind(self) -> "Kind[list[float]]":
        from engines.st_parts.loading import open_ranker
        from engines.st_parts.outputs import scores
        from engines.st_parts.serving import Kind

        return Kind(open_ranker, scores)

    async def warm_up(self) -> None:
        """The score of one short pair."""
        tokens = await self._serving.reader.read([("Hi", "Hello")], truncate=True)
        await self._serving.compute(tokens, Priority.INTERACTIVE)

    async def rerank(
        self, request: RerankRequest, priority: Priority
    ) -> AsyncGenerator[Scores | Usage, None]:
        pairs = [(request.query, document) for document in request.documents]
        try:
            tokens = await self._serving.reader.read(pairs, truncate=request.truncate)
        except TooLong as error:
            raise await self._too_long(request, error) from error
        return self._answer(tokens, priority)

    async def _answer(
        self, tokens: Sequence[Tokens], priority: Priority
    ) -> AsyncGenerator[Scores | Usage, None]:
        found = [0.0] * len(tokens)
        for piece, scores in await self._serving.compute(tokens, priority):
            for text, score in zip(piece.texts, scores, strict=True):
                found[text.index] = score
        yield Scores(0, tuple(found))
        yield Usage(sum(len(pair.ids) for pair in tokens), 0)

    async def _too_long(self, request: RerankRequest, error: TooLong) -> EngineError:
        """About the query if it leaves no room for any document, else about the document."""
        reader = self._serving.reader
        num_query_tokens = await reader.count((request.query, ""))
        if num_query_tokens > reader.limit:
            return too_long("query", num_query_tokens, reader.limit)
        return too_long(f"documents.{error.index}", error.num_tokens, reader.limit)


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    return estimate_memory(spec, options)
