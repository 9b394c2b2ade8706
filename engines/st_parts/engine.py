"""The life of an engine on sentence-transformers, whatever it computes; knows no request."""

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from engines.contract.engine import EngineStats, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.runtime import environment
from engines.st_parts.options import ModelOptions

if TYPE_CHECKING:
    from engines.st_parts.serving import Kind, Serving

_Options = TypeVar("_Options", bound=ModelOptions)
_Rows = TypeVar("_Rows")


class ModelEngine(ABC, Generic[_Options, _Rows]):
    """Base of the engines: everything but their one method."""

    def __init__(self, spec: BackendSpec, options: _Options) -> None:
        self._spec = spec
        self._options = options
        self._loaded: Serving[_Rows] | None = None

    @abstractmethod
    def _import_kind(self) -> "Kind[_Rows]":
        """How to open the model and what to compute with it. Imports the library: blocks."""

    async def load(self, report: ReportProgress) -> None:
        if environment.has_gpu(self._spec.device):
            environment.tokenize_in_parallel()
        report("importing", "sentence-transformers")
        kind = await asyncio.to_thread(self._import_kind)
        report("loading", "weights")
        self._loaded = await kind.start(self._spec, self._options)

    async def check_health(self) -> None:
        self._serving.check_health()

    def stats(self) -> EngineStats:
        return self._serving.stats()

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return self._serving.sleep_levels

    async def sleep(self, level: int) -> None:
        await self._serving.sleep(level)

    async def wake(self) -> None:
        await self._serving.wake()

    async def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()

    @property
    def _serving(self) -> "Serving[_Rows]":
        if self._loaded is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is not loaded")
        return self._loaded
