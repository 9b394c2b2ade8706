"""Runs requests on a loaded model: text to passages, one job of the batcher each, sound to the bytes of the reply."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.types import Priority, Usage
from engines.coqui_parts.encoding import make_encoder
from engines.coqui_parts.models import Sound, SpeechModel, Utterance
from engines.coqui_parts.options import Options
from engines.coqui_parts.sentences import Passage, split_text
from engines.runtime.batcher import Batcher, Job
from engines.runtime.blocking import ComputeThread
from engines.runtime.guard import Guard
from engines.torch_parts import devices

_Sounds = asyncio.Queue[Sound | None]
_MOST_NAMES = 20


class _Work(NamedTuple):
    """One passage. Its sound goes to `sounds`, which belongs to the event loop, as it is made."""

    utterance: Utterance
    sounds: _Sounds
    loop: asyncio.AbstractEventLoop


class Speaking:
    """One model, loaded by `load` on the thread that makes this.

    Passages of different requests take turns; each is computed by itself, so that a seed decides its sound whatever
    else runs.
    """

    def __init__(
        self, load: Callable[[], SpeechModel], options: Options, device: str, thread: ComputeThread
    ) -> None:
        self._load = load
        self._model: SpeechModel | None = load()
        self._thread = thread
        self._options = options
        self._device = device
        self._guard = Guard(partial(devices.release, device))
        self._batcher: Batcher[_Work, int] = Batcher(
            thread, choose=lambda waiting: [waiting[0]], compute=self._guard.around(self._compute)
        )
        self._num_requests = 0
        self._num_pieces = 0

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return devices.sleep_levels(self._device)

    async def sleep(self, level: int) -> None:
        await self._thread.run(self._fall_asleep, level)

    async def wake(self) -> None:
        await self._thread.run(self._wake)

    async def speak(
        self, request: SpeechRequest, priority: Priority
    ) -> AsyncGenerator[AudioChunk | Usage, None]:
        """Raises EngineError(VALIDATION_ERROR) with the field at fault."""
        voice, language = self._choose_voice(request), self._choose_language(request)
        passages = await asyncio.to_thread(self._read, request, language)
        utterances = [
            Utterance(passage.text, voice, language, request.speed, _seed_of(request, number))
            for number, passage in enumerate(passages)
        ]
        return self._answer(request, passages, utterances, priority)

    def check_health(self) -> None:
        """Raises EngineError(BACKEND_ERROR) after a failure that the device does not recover from."""
        self._guard.check()

    def stats(self) -> EngineStats:
        return EngineStats(
            running=self._num_requests,
            waiting=self._batcher.num_waiting,
            steps=self._batcher.steps + self._num_pieces,
            device_bytes=devices.device_bytes(self._device),
        )

    def _choose_voice(self, request: SpeechRequest) -> str:
        found = self._options.find_voice(request.voice)
        if found is None:
            names = list(self._options.all_voices)
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            raise _invalid("voice", f"must be one of {', '.join(names[:_MOST_NAMES])}{more}")
        return found

    def _choose_language(self, request: SpeechRequest) -> str:
        """The model's own name of the language."""
        languages = self._awake.languages
        voice = self._options.all_voices[self._choose_voice(request)]
        chosen = request.language or voice.language or next(iter(languages))
        if chosen not in languages:
            raise _invalid("language", f"must be one of {', '.join(languages)}")
        return languages[chosen]

    def _read(self, request: SpeechRequest, language: str) -> list[Passage]:
        if len(request.text) > self._options.max_input_chars:
            raise _invalid("input", f"must have at most {self._options.max_input_chars} characters")
        passages = split_text(request.text, self._awake.most_chars(language))
        readable = [passage for passage in passages if self._awake.reads(passage.text, language)]
        if not readable:
            raise _invalid("input", "holds nothing that this model can speak")
        return readable

    async def _answer(
        self,
        request: SpeechRequest,
        passages: Sequence[Passage],
        utterances: Sequence[Utterance],
        priority: Priority,
    ) -> AsyncGenerator[AudioChunk | Usage, None]:
        rate_hz = self._awake.sample_rate_hz
        encoder = make_encoder(request.audio_format, rate_hz)
        sounds: _Sounds = asyncio.Queue()  # bounded by the longest text
        pause = np.zeros(int(self._options.sentence_pause_s / request.speed * rate_hz), np.float32)
        producing = asyncio.create_task(
            self._produce(passages, utterances, priority, sounds, pause), name="speaking"
        )
        self._num_requests += 1
        spoken_s = told_s = 0.0
        try:
            while (sound := await sounds.get()) is not None:
                data = await asyncio.to_thread(encoder.encode, sound)
                spoken_s += len(sound) / rate_hz
                if data:
                    yield AudioChunk(data, spoken_s - told_s)
                    told_s = spoken_s
            await producing
            if data := await asyncio.to_thread(encoder.finish):
                yield AudioChunk(data, spoken_s - told_s)
            yield Usage(0, 0, audio_s=round(spoken_s, 3))
        finally:
            self._num_requests -= 1
            producing.cancel()
            await asyncio.gather(producing, return_exceptions=True)

    async def _produce(
        self,
        passages: Sequence[Passage],
        utterances: Sequence[Utterance],
        priority: Priority,
        sounds: _Sounds,
        pause: Sound,
    ) -> None:
        """Have the passages computed one after the other; the end, also a failed one, is told by None."""
        loop = asyncio.get_running_loop()
        try:
            for passage, utterance in zip(passages, utterances, strict=True):
                await self._batcher.run(_Work(utterance, sounds, loop), priority)
                if passage.ends_sentence and passage is not passages[-1] and len(pause):
                    sounds.put_nowait(pause)
        finally:
            sounds.put_nowait(None)

    def _fall_asleep(self, level: int) -> None:
        if level == 1:
            self._awake.move("cpu")
        else:
            self._model = None
        devices.release(self._device)

    def _wake(self) -> None:
        if self._model is None:
            self._model = self._load()
        else:
            self._model.move(self._device)

    @property
    def _awake(self) -> SpeechModel:
        if self._model is None:
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "the model is asleep")
        return self._model

    def _compute(self, jobs: list[Job[_Work, int]]) -> list[int]:
        """Number of samples made of the one passage of the batch; on the compute thread."""
        (job,) = jobs
        num_samples = 0
        for sound in self._awake.speak(job.work.utterance):
            if job.is_cancelled:
                break
            self._num_pieces += 1
            num_samples += len(sound)
            if len(sound):
                job.work.loop.call_soon_threadsafe(job.work.sounds.put_nowait, sound)
        return [num_samples]


def _seed_of(request: SpeechRequest, number: int) -> int | None:
    return None if request.seed is None else request.seed + number


def _invalid(field: str, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
