"""Serves requests with a loaded pipeline: plans, batches, progress, PNG files."""

import asyncio
import io
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from engines.contract.engine import EngineStats
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.types import Priority, Usage
from engines.diffusers_parts import library as lib
from engines.diffusers_parts.drawing import Drawing, DrawingJob
from engines.diffusers_parts.loading import Loaded
from engines.diffusers_parts.options import Options
from engines.diffusers_parts.planning import Sketch, choose, plan
from engines.diffusers_parts.prompts import PromptReaders
from engines.runtime.batcher import Batcher
from engines.runtime.blocking import ComputeThread
from engines.runtime.guard import Guard
from engines.torch_parts import devices

Event = ImageProgress | Picture | Usage
_PNG_LEVEL = 1  # a third of the default level's time for 15 % more bytes


class Serving:
    """Every picture is a job of its own; those of one request may be drawn in different batches."""

    def __init__(self, loaded: Loaded, options: Options, thread: ComputeThread) -> None:
        self._options = options
        self._loaded = loaded
        self._thread = thread
        self._readers = PromptReaders(loaded.pipeline, options)
        self._drawing = Drawing(loaded, options)
        self._guard = Guard(partial(devices.release, loaded.device))
        self._batcher: Batcher[Sketch, lib.Image] = Batcher(
            thread, choose=self._choose, compute=self._guard.around(self._drawing.draw)
        )
        self._turn = 0

    async def draw(self, request: ImageRequest, priority: Priority) -> AsyncGenerator[Event, None]:
        """Raises VALIDATION_ERROR with the field that cannot be honoured."""
        sketches = plan(request, self._options, self._turn)
        num_tokens = self._readers.check(request.prompt, "prompt")
        if request.negative_prompt:
            self._readers.check(request.negative_prompt, "negative_prompt")
        return self._events(sketches, priority, Usage(num_tokens, 0))

    async def _events(
        self, sketches: list[Sketch], priority: Priority, usage: Usage
    ) -> AsyncGenerator[Event, None]:
        news: asyncio.Queue[ImageProgress | asyncio.Task[Picture]] = asyncio.Queue()
        meter = _Meter(len(sketches), sketches[0].shape.steps, news)
        tasks = [
            asyncio.create_task(self._picture(sketch, priority, meter), name="picture") for sketch in sketches
        ]
        for task in tasks:
            task.add_done_callback(news.put_nowait)
        try:
            num_missing = len(tasks)
            while num_missing:
                event = await news.get()
                if isinstance(event, ImageProgress):
                    yield event
                else:
                    num_missing -= 1
                    yield event.result()
            yield usage
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _picture(self, sketch: Sketch, priority: Priority, meter: "_Meter") -> Picture:
        image = await self._batcher.run(sketch, priority, partial(meter.move, sketch.index))
        png = await asyncio.to_thread(encode_png, image)
        return Picture(sketch.index, png, sketch.seed, sketch.shape.width, sketch.shape.height)

    def _choose(self, waiting: Sequence[DrawingJob]) -> list[DrawingJob]:
        batch = choose(waiting, self._options.max_batch_pictures)
        self._turn = max(self._turn, batch[0].work.turn)
        return batch

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        return self._loaded.sleep_levels

    async def sleep(self, level: int) -> None:
        await self._thread.run(self._loaded.sleep, level)

    async def wake(self) -> None:
        await self._thread.run(self._loaded.wake)

    async def check_health(self) -> None:
        self._guard.check()

    def stats(self) -> EngineStats:
        return EngineStats(
            running=self._batcher.num_running,
            waiting=self._batcher.num_waiting,
            steps=self._drawing.steps,
            device_bytes=devices.device_bytes(self._loaded.device),
        )


class _Meter:
    """Progress of a request: the mean over its pictures, told when it has risen by a whole step."""

    def __init__(
        self, num_pictures: int, num_steps: int, news: "asyncio.Queue[ImageProgress | asyncio.Task[Picture]]"
    ) -> None:
        self._done = [0] * num_pictures
        self._num_steps = num_steps
        self._news = news
        self._told = 0

    def move(self, picture: int, step: int, num_steps: int) -> None:
        self._done[picture] = step
        mean = sum(self._done) // len(self._done)
        if mean > self._told:
            self._told = mean
            self._news.put_nowait(ImageProgress(mean, num_steps))


def encode_png(image: "lib.Image") -> bytes:
    """The pixels and nothing else: no time, no prompt, no program."""
    buffer = io.BytesIO()
    image.info = {}
    image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()
