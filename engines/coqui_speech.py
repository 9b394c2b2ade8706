"""Text to speech with coqui-tts: VITS, FastPitch and its kin, GlowTTS, XTTS; knows it only through its parts."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engines.contract.engine import EngineStats, MemoryEstimate, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.memory import weights_size_bytes
from engines.contract.spec import BackendSpec
from engines.contract.speech import AudioChunk, SpeechRequest, VoiceCard
from engines.contract.types import Priority, Usage
from engines.coqui_parts.options import Options
from engines.runtime import environment
from engines.runtime.blocking import ComputeThread

if TYPE_CHECKING:
    from engines.coqui_parts.speaking import Speaking

__all__ = ["Engine", "Options", "estimate", "voices"]

_GREETINGS = ("Hello there.", "Привет.", "你好。", "こんにちは。", "안녕하세요.", "مرحبا.", "नमस्ते।")
_WORKING_BYTES = 512 * 1024 * 1024  # activations of a long passage, and the libraries themselves


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    return MemoryEstimate(weights_size_bytes(spec.weights), _WORKING_BYTES)


def voices(spec: BackendSpec, options: Options) -> Sequence[VoiceCard]:
    return options.cards()


class Engine:
    """A `SpeechEngine` over one model on one thread."""

    def __init__(self, spec: BackendSpec, options: Options) -> None:
        self._spec = spec
        self._options = options
        self._thread = ComputeThread("speech")
        self._speaking: Speaking | None = None

    async def load(self, report: ReportProgress) -> None:
        environment.limit_threads(self._options.omp_num_threads, self._spec.device)
        report("importing", "coqui-tts")
        await self._thread.run(_import)
        report("loading", "weights and voices")
        self._speaking = await self._thread.run(_load, self._spec, self._options, self._thread)

    async def warm_up(self) -> None:
        """A greeting in the first of some scripts that the model reads."""
        for greeting in _GREETINGS:
            try:
                events = await self.speak(SpeechRequest(greeting, seed=0), Priority.INTERACTIVE)
            except EngineError:  # not its script
                continue
            usages = [event async for event in events if isinstance(event, Usage)]
            if usages[0].audio_s == 0:
                raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model computed no sound")
            return
        raise EngineError(
            ErrorCode.VALIDATION_ERROR, "the model reads none of the scripts that it is tried with"
        )

    async def speak(
        self, request: SpeechRequest, priority: Priority
    ) -> AsyncGenerator[AudioChunk | Usage, None]:
        return await self._loaded().speak(request, priority)

    async def check_health(self) -> None:
        self._loaded().check_health()

    def stats(self) -> EngineStats:
        return self._loaded().stats()

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return self._loaded().sleep_levels

    async def sleep(self, level: int) -> None:
        await self._loaded().sleep(level)

    async def wake(self) -> None:
        await self._loaded().wake()

    async def close(self) -> None:
        self._thread.close()
        self._speaking = None

    def _loaded(self) -> "Speaking":
        if self._speaking is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is not loaded")
        return self._speaking


def _import() -> None:
    from engines.coqui_parts.library import import_tts

    import_tts()
    import engines.coqui_parts.speaking
    import engines.coqui_parts.whole  # noqa: F401


def _load(spec: BackendSpec, options: Options, thread: ComputeThread) -> "Speaking":
    from engines.coqui_parts.models import load_model
    from engines.coqui_parts.speaking import Speaking
    from engines.torch_parts import devices

    device = devices.choose_device(spec.device)
    devices.limit_threads(options.omp_num_threads, spec.device)
    return Speaking(partial(load_model, spec, options, device), options, device, thread)
