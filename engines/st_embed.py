"""Embeddings with SentenceTransformer of sentence-transformers; imports that in `load`."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from engines.contract.embed import EmbedRequest, Vectors
from engines.contract.engine import MemoryEstimate, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from engines.st_parts.engine import ModelEngine
from engines.st_parts.options import ModelOptions, Task, estimate_memory
from engines.st_parts.pieces import Piece, Tokens
from engines.st_parts.reader import TooLong, too_long

if TYPE_CHECKING:
    from engines.st_parts.outputs import Matrix
    from engines.st_parts.serving import Kind

_FRAME_BYTES = 4 * 1024 * 1024


class Options(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`prompts` adds to the model's own, by task; `default_task` is used by requests that name none."""

    prompts: dict[Task, str] = msgspec.field(default_factory=dict)
    default_task: Task | None = None


class Engine(ModelEngine[Options, "Matrix"]):
    """An `EmbedEngine` over one SentenceTransformer."""

    def _import_kind(self) -> "Kind[Matrix]":
        from engines.st_parts.loading import open_embedder
        from engines.st_parts.outputs import vectors
        from engines.st_parts.serving import Kind

        return Kind(open_embedder, vectors)

    async def load(self, report: ReportProgress) -> None:
        await super().load(report)
        model = self._serving.model
        self._prompts: dict[str, str] = model.prompts | self._options.prompts
        self._default_task: str | None = self._options.default_task or model.default_prompt_name
        if self._default_task not in (None, *self._prompts):
            raise EngineError(
                ErrorCode.VALIDATION_ERROR, f"default_task is `{self._default_task}`, which has no prompt"
            )

    async def warm_up(self) -> None:
        """One vector of a short text; it tells how long the model's vectors are."""
        tokens = await self._serving.reader.read(["Hi"], truncate=True)
        ((_, rows),) = await self._serving.compute(tokens, Priority.INTERACTIVE)
        self._size = int(rows.shape[1])

    async def embed(self, request: EmbedRequest, priority: Priority) -> AsyncGenerator[Vectors | Usage, None]:
        prompt = self._prompt(request.task)
        if request.dimensions is not None and request.dimensions > self._size:
            raise _invalid("dimensions", f"must be at most {self._size} for this model")
        texts = [prompt + text for text in request.inputs] if prompt else request.inputs
        try:
            tokens = await self._serving.reader.read(texts, truncate=request.truncate)
        except TooLong as error:
            field = "input" if len(texts) == 1 else f"input.{error.index}"
            raise too_long(field, error.num_tokens, self._serving.reader.limit) from error
        return self._answer(tokens, request.dimensions, priority)

    async def _answer(
        self, tokens: Sequence[Tokens], dimensions: int | None, priority: Priority
    ) -> AsyncGenerator[Vectors | Usage, None]:
        computed = await self._serving.compute(tokens, priority, dimensions)
        for vectors in _in_order(computed, len(tokens)):
            yield vectors
        yield Usage(sum(len(text.ids) for text in tokens), 0)

    def _prompt(self, task: str | None) -> str:
        task = task or self._default_task
        if task is None:
            return ""
        if task not in self._prompts:
            known = ", ".join(sorted(self._prompts)) or "none at all"
            raise _invalid("task", f"must be one that this model knows: {known}")
        return self._prompts[task]


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    return estimate_memory(spec, options)


def _in_order(computed: "Sequence[tuple[Piece, Matrix]]", num_texts: int) -> Iterator[Vectors]:
    """The rows as the inputs came, in frames of bounded size."""
    dimensions = computed[0][1].shape[1]
    rows: list[bytes] = [b""] * num_texts
    for piece, matrix in computed:
        for text, row in zip(piece.texts, matrix.astype("<f4", copy=False), strict=True):
            rows[text.index] = row.tobytes()
    step = max(1, _FRAME_BYTES // (4 * dimensions))
    for first in range(0, num_texts, step):
        yield Vectors(first, dimensions, b"".join(rows[first : first + step]))


def _invalid(field: str, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, f"{field} {message}", field=field)
