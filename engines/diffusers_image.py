"""Pictures from text with a diffusers pipeline; knows diffusers only through the modules it imports in `load`."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from engines.contract.engine import EngineStats, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from engines.diffusers_parts.folder import estimate
from engines.diffusers_parts.options import Options, parse_size
from engines.runtime import environment
from engines.runtime.blocking import ComputeThread

if TYPE_CHECKING:
    from engines.diffusers_parts.serving import Serving

__all__ = ["Engine", "Options", "estimate"]

_WARM_UP_PROMPT = "a picture"


class Engine:
    """An `ImageEngine` over one pipeline, which draws one batch at a time on a thread of its own."""

    def __init__(self, spec: BackendSpec, options: Options) -> None:
        self._spec = spec
        self._options = options
        self._thread = ComputeThread("drawing")
        self._serving: Serving | None = None

    async def load(self, report: ReportProgress) -> None:
        loop = asyncio.get_running_loop()

        def report_from_thread(*progress: str) -> None:
            loop.call_soon_threadsafe(report, *progress)

        environment.limit_threads(self._options.omp_num_threads, self._spec.device)
        report("importing", "diffusers")
        self._serving = await self._thread.run(self._start, report_from_thread)

    async def warm_up(self) -> None:
        """One step of one picture; of every size if the size decides what is compiled."""
        sizes = map(parse_size, self._options.sizes) if self._options.compile else [self._options.first_size]
        for width, height in sizes:
            request = ImageRequest(_WARM_UP_PROMPT, width=width, height=height, steps=1, seed=0)
            events = [event async for event in await self.draw(request, Priority.INTERACTIVE)]
            if not any(isinstance(event, Picture) for event in events):
                raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model drew no picture")

    async def draw(
        self, request: ImageRequest, priority: Priority
    ) -> AsyncGenerator[ImageProgress | Picture | Usage, None]:
        return await self._running().draw(request, priority)

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
        self._thread.close()

    def _start(self, report: ReportProgress) -> "Serving":
        """On the compute thread: the library is imported and the weights are loaded where they will be used."""
        from engines.diffusers_parts.loading import load
        from engines.diffusers_parts.serving import Serving
        from engines.torch_parts import devices

        devices.limit_threads(self._options.omp_num_threads, self._spec.device)
        return Serving(load(self._spec, self._options, report), self._options, self._thread)

    def _running(self) -> "Serving":
        if self._serving is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is not loaded")
        return self._serving
