"""Loads a pipeline as the options say. What only a GPU can do was never run here: offloading, compiling, attention
backends and quantization are written after diffusers' manual.
"""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engines.contract.engine import ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.diffusers_parts import library as lib
from engines.diffusers_parts.folder import PipelineIndex, is_plain_library, read_index
from engines.diffusers_parts.options import Options
from engines.diffusers_parts.quantizing import quantization_config
from engines.torch_parts import devices

_NEEDED_PARAMETERS = frozenset({"prompt", "height", "width", "num_inference_steps", "generator"})


class Loaded:
    """A pipeline that is ready to be called, by one thread at a time, unless it sleeps.

    `can_move`: its weights lie on the device as they are, so that they can go to host RAM and come back. `reopen` makes
    the pipeline anew from its files.
    """

    def __init__(self, pipeline: Any, device: str, *, can_move: bool, reopen: Callable[[], Any]) -> None:
        self.pipeline = pipeline
        self.device = device
        self.parameters = frozenset(inspect.signature(type(pipeline).__call__).parameters)
        self.sleep_levels = devices.sleep_levels(device) if can_move else (2,)
        self._reopen = reopen

    def sleep(self, level: int) -> None:
        """On the thread that calls the pipeline."""
        self.pipeline = self.pipeline.to("cpu") if level == 1 else None
        devices.release(self.device)

    def wake(self) -> None:
        self.pipeline = self._reopen() if self.pipeline is None else self.pipeline.to(self.device)


def load(spec: BackendSpec, options: Options, report: ReportProgress) -> Loaded:
    """Blocks until the weights are where they compute. Raises EngineError."""
    lib.quiet()
    device = devices.choose_device(spec.device)
    _check_device(options, device)
    can_move = options.offload == "none" and not options.quantization
    reopen = partial(_open, spec, options, device)
    return Loaded(reopen(report), device, can_move=can_move, reopen=partial(reopen, _report_nothing))


def _open(spec: BackendSpec, options: Options, device: str, report: ReportProgress) -> Any:
    dtype = devices.choose_dtype(options.dtype, device)
    index = read_index(Path(spec.weights))
    check_index(index, options)
    report("loading", f"{index.class_name} in {str(dtype).removeprefix('torch.')} on {device}")
    pipeline = _from_folder(spec.weights, index, options, dtype)
    pipeline.set_progress_bar_config(disable=True)
    _arrange_memory(pipeline, options, device)
    _speed_up(pipeline, options)
    if options.compile:
        report("compiling", "the denoiser's repeated blocks; they compile in the first pictures")
        _compile(pipeline)
    return pipeline


def _report_nothing(*_: str) -> None:
    return


def check_index(index: PipelineIndex, options: Options) -> None:
    """Only what diffusers and transformers define themselves, and only what can be called, watched and stopped."""
    kind = lib.pipeline_class(index.class_name)
    if kind is None:
        raise _refused(f"the weights name the pipeline {index.class_name}, which diffusers does not define")
    for name, (library, class_name) in index.components.items():
        if not is_plain_library(library) and not lib.is_own_pipeline_module(library):
            raise _refused(f"the weights take {name} ({class_name}) from {library}, not from diffusers")
    parameters = inspect.signature(kind.__call__).parameters
    missing = sorted((_NEEDED_PARAMETERS | {options.guidance_argument}) - parameters.keys())
    if missing:
        raise _refused(
            f"{index.class_name} has no {missing[0]}: it does not draw from text as this engine does"
        )
    if "callback_on_step_end" not in parameters:
        raise _refused(f"{index.class_name} cannot be stopped between steps")
    if options.negative_prompts and "negative_prompt" not in parameters:
        raise _refused(f"{index.class_name} knows no negative prompts: set `negative_prompts: false`")


def _check_device(options: Options, device: str) -> None:
    wanted = {
        "offload": options.offload != "none",
        "quantization": bool(options.quantization),
        "attention_backend": options.attention_backend is not None,
    }
    if device == "cpu" and (names := [name for name, is_wanted in wanted.items() if is_wanted]):
        raise _refused(f"options.{names[0]} needs a GPU")


def _from_folder(folder: str, index: PipelineIndex, options: Options, dtype: Any) -> Any:
    unused = dict.fromkeys(index.unused)
    if "safety_checker" in index.unused:
        unused["requires_safety_checker"] = False  # type: ignore[assignment]  # diffusers' own switch
    try:
        return lib.DiffusionPipeline.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            variant=options.variant,
            quantization_config=quantization_config(options.quantization, index, dtype),
            **unused,
        )
    except (ValueError, TypeError, KeyError, OSError, ImportError) as error:
        raise _refused(f"diffusers: {_first_line(error)}") from error
    except RuntimeError as error:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, f"diffusers: {_first_line(error)}") from error


def _arrange_memory(pipeline: Any, options: Options, device: str) -> None:
    match options.offload:
        case "none":
            pipeline.to(device)
        case "model":
            pipeline.enable_model_cpu_offload(device=device)
        case "group":
            pipeline.enable_group_offload(
                onload_device=lib.torch.device(device), offload_type="leaf_level", use_stream=True
            )
    for is_wanted, name in ((options.vae_slicing, "enable_slicing"), (options.vae_tiling, "enable_tiling")):
        if is_wanted:
            _component_method(pipeline.vae, name, "the pipeline's decoder")()


def _speed_up(pipeline: Any, options: Options) -> None:
    denoiser = denoiser_of(pipeline)
    if options.channels_last:
        for module in (denoiser, pipeline.vae):
            module.to(memory_format=lib.torch.channels_last)
    if options.attention_backend is None:
        return
    names = {backend.value for backend in lib.AttentionBackendName}
    if options.attention_backend not in names or options.attention_backend.endswith("_hub"):
        usable = ", ".join(sorted(name for name in names if not name.endswith("_hub")))
        raise _refused(f"options.attention_backend must be one of {usable}")
    try:
        _component_method(denoiser, "set_attention_backend", "this denoiser")(options.attention_backend)
    except (ImportError, RuntimeError, ValueError) as error:
        raise _refused(
            f"options.attention_backend {options.attention_backend} cannot be used here"
        ) from error


def _compile(pipeline: Any) -> None:
    try:
        _component_method(denoiser_of(pipeline), "compile_repeated_blocks", "this denoiser")(fullgraph=True)
    except ValueError as error:
        raise _refused("options.compile: diffusers names no repeated blocks of this denoiser") from error


def denoiser_of(pipeline: Any) -> Any:
    """The part that computes every step."""
    found = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    if found is None:
        raise _refused("the pipeline has neither a transformer nor a unet")
    return found


def _component_method(component: Any, name: str, what: str) -> Any:
    method = getattr(component, name, None)
    if method is None:
        raise _refused(f"{what} has no {name}")
    return method


def _refused(reason: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, reason)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:500]
