"""Chat and plain generation with vLLM's AsyncLLM; knows vLLM only through the modules it imports in `load`."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from engines.contract.chat import ChatEvent, ChatRequest, GenerateRequest, Message, Sampling
from engines.contract.engine import EngineStats, MemoryEstimate, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.memory import weights_size_bytes
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from engines.runtime import environment
from engines.vllm_parts.options import Options
from engines.vllm_parts.sizing import find_contradictions, working_bytes

if TYPE_CHECKING:
    from engines.vllm_parts.serving import Serving

__all__ = ["Engine", "Options", "estimate", "find_contradictions"]

SPANS_GPUS = True


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    """Weights as they lie in the files, and the KV cache of exactly the size that `load` asks vLLM for."""
    return MemoryEstimate(weights_size_bytes(spec.weights), working_bytes(spec, options))


class Engine:
    """A `ChatEngine` over one AsyncLLM, which has an EngineCore process of its own."""

    def __init__(self, spec: BackendSpec, options: Options) -> None:
        self._spec = spec
        self._options = options
        self._serving: Serving | None = None

    async def load(self, report: ReportProgress) -> None:
        environment.limit_threads(self._options.omp_num_threads, self._spec.device)
        if self._options.enforce_eager is not False and not environment.has_gpu(self._spec.device):
            environment.switch_compiler_off()
        report("importing", "vLLM")
        serving = await asyncio.to_thread(_import_serving)
        report("loading", "weights and KV cache")
        self._serving = await serving.start(self._spec, self._options)

    async def warm_up(self) -> None:
        """One token of a plain text, and of a conversation if the model has a template for it."""
        sampling = Sampling(max_tokens=1, temperature=0.0)
        plain = await self.generate(GenerateRequest(("Hi",), sampling), Priority.INTERACTIVE)
        usages = [event async for event in plain if isinstance(event, Usage)]
        if usages[0].completion_tokens != 1:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model computed no token")
        if self._running().has_chat_template:
            chat = await self.chat(ChatRequest((Message("user", "Hi"),), sampling), Priority.INTERACTIVE)
            async for _ in chat:
                pass

    async def chat(self, request: ChatRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        return await self._running().chat(request, priority)

    async def generate(self, request: GenerateRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        return await self._running().generate(request, priority)

    async def check_health(self) -> None:
        await self._running().check_health()

    def stats(self) -> EngineStats:
        return self._running().stats()

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return self._running().sleep_levels

    async def sleep(self, level: int) -> None:
        await self._running().sleep(level)

    async def wake(self) -> None:
        await self._running().wake()

    async def close(self) -> None:
        if self._serving is not None:
            await self._serving.close()

    def _running(self) -> "Serving":
        if self._serving is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is not loaded")
        return self._serving


def _import_serving() -> "type[Serving]":
    from engines.vllm_parts.serving import Serving

    return Serving
