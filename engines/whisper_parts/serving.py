"""Requests on a loaded model: decode, prepare, hear windows in parallel, yield their segments in order."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import cast

import msgspec

from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.contract.transcribe import AudioFile, Segment, TranscribeRequest, TranscriptInfo
from engines.contract.types import Priority, Usage
from engines.runtime.batcher import Batcher
from engines.runtime.blocking import ComputeThread
from engines.runtime.guard import Guard
from engines.runtime.media import DecodeLimits, MediaDecoder, Sound
from engines.whisper_parts.computing import Answer, Computer, Detect, Generate, Piece, Work
from engines.whisper_parts.hearing import Hearing, Task
from engines.whisper_parts.library import LANGUAGE_CODES, Tokenizer, WhisperModel, ctranslate2, np
from engines.whisper_parts.options import Options
from engines.whisper_parts.preparing import Heard, Preparer

_MAX_BATCH_ON_GPU, _MAX_BATCH_ON_CPU = 16, 4

Event = TranscriptInfo | Segment | Usage


class Serving:
    """Owns the model, its threads and the decoder of sound files."""

    def __init__(self, model: WhisperModel, options: Options) -> None:
        is_gpu = model.model.device == "cuda"
        max_batch = options.max_batch_windows or (_MAX_BATCH_ON_GPU if is_gpu else _MAX_BATCH_ON_CPU)
        self._model = model
        self.sleep_levels = (1, 2) if is_gpu else (2,)
        self._options = options
        self._num_ahead = max_batch + 1
        self._threads = ComputeThread("compute"), ComputeThread("prepare")
        computer = Computer(model, options, max_batch)
        self._guard = Guard()
        self._batcher: Batcher[Work, Answer] = Batcher(
            self._threads[0], choose=computer.choose, compute=self._guard.around(computer.compute)
        )
        self._hearing = Hearing(model, options, self._batcher)
        self._preparer = Preparer(model, options)
        self._decoder = MediaDecoder(max_at_once=max(2, (os.cpu_count() or 2) // 2))
        self._limits = DecodeLimits(options.max_audio_s, options.decode_timeout_s)
        self._languages = known_languages(model)
        self._num_requests = 0

    def start(self) -> None:
        self._decoder.start()

    async def transcribe(self, request: TranscribeRequest, priority: Priority) -> AsyncGenerator[Event, None]:
        self._check(request)
        sound = await self._decoder.decode_audio(request.audio.path, self._limits)
        return self._answer(request, sound, priority)

    async def _answer(
        self, request: TranscribeRequest, sound: Sound, priority: Priority
    ) -> AsyncGenerator[Event, None]:
        self._num_requests += 1
        num_segments = num_tokens = 0
        try:
            async with aclosing(self._prepare(sound)) as heard:
                first = await anext(heard, None)
                piece = None if first is None else Piece(first.mel)
                info = await self._info(request, sound, piece, priority)
                yield info
                task = await self._threads[1].run(self._task, request, info.language, priority)
                begun = [] if first is None else [self._begin(first, task, piece)]
                async with aclosing(self._in_order(begun, heard, task)) as written:
                    async for segment in written:
                        yield msgspec.structs.replace(segment, index=num_segments)
                        num_segments += 1
                        num_tokens += len(segment.tokens)
            yield Usage(0, num_tokens, audio_s=sound.duration_s)
        finally:
            self._num_requests -= 1

    async def _prepare(self, sound: Sound) -> AsyncGenerator[Heard, None]:
        windows = self._preparer.prepare(sound)
        while (heard := await self._threads[1].run(_next, windows)) is not None:
            yield heard

    async def _in_order(
        self, begun: "list[asyncio.Task[list[Segment]]]", rest: AsyncIterator[Heard], task: Task
    ) -> AsyncGenerator[Segment, None]:
        """Segments of all windows, some of which are heard ahead, so that a long file fills batches by itself."""
        pending = deque(begun)
        try:
            async for heard in rest:
                while len(pending) >= self._num_ahead or (pending and pending[0].done()):
                    for segment in await pending[0]:
                        yield segment
                    pending.popleft()
                pending.append(self._begin(heard, task))
            while pending:
                for segment in await pending[0]:
                    yield segment
                pending.popleft()
        finally:
            for each in pending:
                each.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _begin(self, heard: Heard, task: Task, piece: Piece | None = None) -> "asyncio.Task[list[Segment]]":
        return asyncio.create_task(self._hearing.write_down(heard, task, piece), name="window")

    async def _info(
        self, request: TranscribeRequest, sound: Sound, piece: Piece | None, priority: Priority
    ) -> TranscriptInfo:
        """The language is that of the first speech, if the request names none."""
        language, probability = request.language or self._languages[0], 1.0
        if request.language is None and piece is None:
            probability = 0.0
        elif request.language is None and piece is not None and self._model.model.is_multilingual:
            found = cast(list[tuple[str, float]], await self._batcher.run(Detect(piece), priority))
            language, probability = found[0]
        return TranscriptInfo(language, probability, sound.duration_s)

    def _check(self, request: TranscribeRequest) -> None:
        """Raises EngineError(VALIDATION_ERROR)."""
        if request.language is not None and request.language not in self._languages:
            num = len(self._languages)
            known = ", ".join(self._languages) if num <= 8 else f"the codes of the model's {num} languages"
            raise EngineError(ErrorCode.VALIDATION_ERROR, f"must be one of {known}", field="language")
        if request.task == "translate" and not self._model.model.is_multilingual:
            raise EngineError(ErrorCode.VALIDATION_ERROR, "does not translate speech", field="model")

    def _task(self, request: TranscribeRequest, language: str, priority: Priority) -> Task:
        is_multilingual = self._model.model.is_multilingual
        tokenizer = Tokenizer(self._model.hf_tokenizer, is_multilingual, task=request.task, language=language)
        temperatures = self._options.temperatures if request.temperature is None else (request.temperature,)
        return Task(
            tokenizer=tokenizer,
            prompt_tokens=prompt_tokens(tokenizer, request.prompt),
            temperatures=temperatures,
            wants_words=request.word_timestamps,
            priority=priority,
        )

    async def compute_once(self) -> None:
        """Any answer of the model, to a window in which there is nothing."""
        request = TranscribeRequest(AudioFile("", 0), language=self._languages[0])
        task = self._task(request, self._languages[0], Priority.INTERACTIVE)
        mel = np.zeros((self._model.model.n_mels, 1), np.float32)
        prompt = self._model.get_prompt(task.tokenizer, [])
        await self._batcher.run(Generate(Piece(mel), task.tokenizer, prompt, 0.0), Priority.INTERACTIVE)

    def check_health(self) -> None:
        """Raises EngineError(BACKEND_ERROR) after a failure that the device does not recover from."""
        self._guard.check()

    def stats(self) -> EngineStats:
        steps = self._batcher.steps + self._preparer.steps
        return EngineStats(self._num_requests, self._batcher.num_waiting, steps=steps)

    async def sleep(self, level: int) -> None:
        """CTranslate2's own way. The decoding process, which holds libraries too, ends; `start` brings it back."""
        await asyncio.to_thread(self._decoder.close)
        await self._threads[0].run(self._model.model.unload_model, to_cpu=level == 1)

    async def wake(self) -> None:
        """Raises EngineError."""
        await self._threads[0].run(_load_again, self._model)

    def close(self) -> None:
        self._decoder.close()
        for thread in self._threads:
            thread.close()


def load(spec: BackendSpec, options: Options) -> WhisperModel:
    """Blocks. Raises EngineError."""
    device = choose_device(spec.device)
    try:
        return WhisperModel(
            spec.weights,
            device=device,
            compute_type="default" if options.compute_type == "auto" else options.compute_type,
            cpu_threads=int(os.environ.get("OMP_NUM_THREADS", "0")),
            local_files_only=True,
        )
    except ValueError as error:
        # A compute type that the device does not have; the text is for the operator, who wrote the configuration.
        raise EngineError(ErrorCode.VALIDATION_ERROR, f"CTranslate2: {error}") from error
    except RuntimeError as error:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, f"CTranslate2: {error}") from error


def _load_again(model: WhisperModel) -> None:
    try:
        model.model.load_model()
    except RuntimeError as error:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, f"CTranslate2: {error}") from error


def choose_device(device: str) -> str:
    """`cpu` or `cuda`: the worker sees only the GPUs of its spec. Raises EngineError(VALIDATION_ERROR)."""
    num_gpus = 0 if device == "cpu" else ctranslate2.get_cuda_device_count()
    if num_gpus == 0 and device not in ("cpu", "auto"):
        raise EngineError(
            ErrorCode.VALIDATION_ERROR, f"device {device} is configured, but CTranslate2 sees no GPU"
        )
    return "cuda" if num_gpus else "cpu"


def known_languages(model: WhisperModel) -> list[str]:
    """Those whose token the model has; English first."""
    if not model.model.is_multilingual:
        return ["en"]
    known = [code for code in LANGUAGE_CODES if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None]
    return sorted(known, key=lambda code: (code != "en", code))


def prompt_tokens(tokenizer: Tokenizer, prompt: str | None) -> list[int]:
    """Control tokens that the text spells are left out; the model's own limit cuts the beginning off."""
    if prompt is None or not prompt.strip():
        return []
    return [token for token in tokenizer.encode(" " + prompt.strip()) if token < tokenizer.eot]


def _next(windows: Iterator[Heard]) -> Heard | None:
    return next(windows, None)
