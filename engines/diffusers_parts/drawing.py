"""Draws batches with a pipeline, on the compute thread: progress, stopping, seeds. Knows no event loop."""

from typing import Any

from engines.diffusers_parts import library as lib
from engines.diffusers_parts.loading import Loaded
from engines.diffusers_parts.options import Options
from engines.diffusers_parts.planning import Sketch
from engines.diffusers_parts.prompts import sequence_length
from engines.runtime.batcher import Job

DrawingJob = Job[Sketch, "lib.Image"]


class Abandoned(Exception):
    """Nobody waits for any picture of the batch any more."""


class Drawing:
    """`steps` counts denoising steps."""

    def __init__(self, loaded: Loaded, options: Options) -> None:
        self._loaded = loaded
        self._options = options
        self.steps = 0

    def draw(self, batch: list[DrawingJob]) -> "list[lib.Image]":
        """A picture for each job. Raises Abandoned before the next step when all jobs are cancelled.

        Each picture has its own generator on the CPU: it does not depend on its neighbours nor on the kind of device.
        """
        with lib.torch.inference_mode():
            pictures: list[lib.Image] = self._loaded.pipeline(**self._arguments(batch)).images
        return pictures

    def _arguments(self, batch: list[DrawingJob]) -> dict[str, Any]:
        sketches = [job.work for job in batch]
        shape = sketches[0].shape
        arguments: dict[str, Any] = {
            "prompt": [sketch.prompt for sketch in sketches],
            "height": shape.height,
            "width": shape.width,
            "num_inference_steps": shape.steps,
            self._options.guidance_argument: shape.guidance,
            "generator": [lib.torch.Generator("cpu").manual_seed(sketch.seed) for sketch in sketches],
            "callback_on_step_end": self._watcher(batch, shape.steps),
            "output_type": "pil",
        }
        if shape.has_negative:
            arguments["negative_prompt"] = [sketch.negative_prompt for sketch in sketches]
        if (length := sequence_length(self._loaded.pipeline, self._options)) is not None:
            arguments["max_sequence_length"] = length
        return arguments

    def _watcher(self, batch: list[DrawingJob], num_steps: int) -> Any:
        """Called by the pipeline after each step. Raising is the one way out that skips the decoding as well."""

        def watch(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            self.steps += 1
            if all(job.is_cancelled for job in batch):
                raise Abandoned
            done = (index + 1) * num_steps // max(pipeline.num_timesteps, num_steps)
            for job in batch:
                job.tell_progress(done, num_steps)
            return tensors

        return watch
