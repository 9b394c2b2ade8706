"""Speech to text with faster-whisper on CTranslate2; knows them only through the modules it imports in `load`."""

import asyncio
import tempfile
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from engines.contract.engine import EngineStats, MemoryEstimate, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.memory import weights_size_bytes
from engines.contract.spec import BackendSpec
from engines.contract.transcribe import AudioFile, Segment, TranscribeRequest, TranscriptInfo
from engines.contract.types import Priority, Usage
from engines.runtime import environment
from engines.whisper_parts.options import Options

if TYPE_CHECKING:
    from engines.whisper_parts.serving import Serving

__all__ = ["Engine", "Options", "estimate"]

_BASE_BYTES = 300 * 1024 * 1024
_WINDOW_SHARE = (
    1 / 12
)  # of the weights: states of one window in the decoder, as published for large-v2 in float16
_GPU_BATCH = 16


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    weights = weights_size_bytes(spec.weights)
    num_windows = options.max_batch_windows or _GPU_BATCH
    return MemoryEstimate(weights, _BASE_BYTES + int(weights * _WINDOW_SHARE * num_windows))


class Engine:
    """A `TranscribeEngine`."""

    def __init__(self, spec: BackendSpec, options: Options) -> None:
        self._spec = spec
        self._options = options
        self._serving: Serving | None = None

    async def load(self, report: ReportProgress) -> None:
        environment.limit_threads(self._options.omp_num_threads, self._spec.device)
        report("importing", "faster-whisper")
        await asyncio.to_thread(_import_library)
        report("loading", "weights")
        self._serving = await asyncio.to_thread(_load, self._spec, self._options)

    async def warm_up(self) -> None:
        """One second of silence, from a file to its answer, and one window through the model whatever is in it."""
        serving = self._running()
        await asyncio.to_thread(serving.start)
        with tempfile.TemporaryDirectory() as folder:
            path = await asyncio.to_thread(_write_silence, Path(folder))
            request = TranscribeRequest(AudioFile(str(path), path.stat().st_size))
            events = await self.transcribe(request, Priority.INTERACTIVE)
            async for _ in events:
                pass
        await serving.compute_once()

    async def transcribe(
        self, request: TranscribeRequest, priority: Priority
    ) -> AsyncGenerator[TranscriptInfo | Segment | Usage, None]:
        return await self._running().transcribe(request, priority)

    async def check_health(self) -> None:
        self._running().check_health()

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
            await asyncio.to_thread(self._serving.close)

    def _running(self) -> "Serving":
        if self._serving is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is not loaded")
        return self._serving


def _import_library() -> None:
    from engines.whisper_parts import serving  # noqa: F401  # takes a second


def _load(spec: BackendSpec, options: Options) -> "Serving":
    from engines.whisper_parts import serving

    return serving.Serving(serving.load(spec, options), options)


def _write_silence(folder: Path) -> Path:
    path = folder / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000))
    return path
