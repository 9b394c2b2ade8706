"""Options of the diffusers image engine; must import without diffusers."""

import re
from typing import Annotated, Literal

import msgspec

from engines.contract.spec import PositiveInt
from engines.torch_parts.devices import Dtype

Guidance = Annotated[float, msgspec.Meta(ge=0)]
Quantization = Literal[
    "bitsandbytes_8bit", "bitsandbytes_4bit", "torchao_int8", "torchao_float8", "torchao_float8_dynamic"
]
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_STEP_PIXELS = 8


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a quality or style stands for; what is left out stays as it is."""

    steps: PositiveInt | None = None
    guidance: Guidance | None = None


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a backend with `engine: diffusers_image`.

    What clients may ask for:
    `sizes`: all that are drawn, `WIDTHxHEIGHT` in multiples of 8. `default_size`: the first one unless named.
    `steps`, `guidance`: where a request does not say. `max_steps`, `max_guidance`: the most that it may ask for.
    `guidance_argument`: the pipeline's parameter that guidance goes to; Qwen-Image has `true_cfg_scale`.
    `negative_prompts`: whether requests may have one. `default_negative_prompt`: for those that have none.
    `qualities`, `styles`: names of a request's `quality` and `style`, each with steps or guidance or both.
    `max_prompt_tokens`: for text encoders whose window the pipeline can set; default is the pipeline's own.

    Batches: `max_batch_pictures`: most pictures that are drawn together.

    Loading and computing:
    `dtype`: `auto` is bfloat16 on a GPU, `float32` on a CPU. `variant`: of the weight files, for example `fp16`.
    `quantization`: component to kind, for example `{transformer: torchao_float8}`.
    `offload`: keep weights in host memory and move whole models or groups of layers to the GPU when they compute.
    `compile`: compile the denoiser's repeated blocks. `attention_backend`: as diffusers names them.
    `channels_last`: memory layout of convolutions. `vae_slicing`, `vae_tiling`: decode with less memory, more slowly.
    `omp_num_threads`: threads on a CPU; half the processors unless given.
    """

    sizes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("1024x1024",)
    default_size: str | None = None
    steps: PositiveInt = 30
    guidance: Guidance = 5.0
    max_steps: PositiveInt = 100
    max_guidance: Guidance = 20.0
    guidance_argument: Literal["guidance_scale", "true_cfg_scale"] = "guidance_scale"
    negative_prompts: bool = True
    default_negative_prompt: str | None = None
    qualities: dict[str, Preset] = {}
    styles: dict[str, Preset] = {}
    max_prompt_tokens: PositiveInt | None = None
    max_batch_pictures: PositiveInt = 4
    dtype: Dtype = "auto"
    variant: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    quantization: dict[str, Quantization] = {}
    offload: Literal["none", "model", "group"] = "none"
    compile: bool = False
    attention_backend: str | None = None
    channels_last: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    omp_num_threads: PositiveInt | None = None

    def __post_init__(self) -> None:
        for size in self.sizes:
            parse_size(size)
        if self.default_size is not None and self.default_size not in self.sizes:
            raise ValueError(f"default_size {self.default_size} is not among sizes")
        presets = {"default": Preset(self.steps, self.guidance)} | self.qualities | self.styles
        for name, preset in presets.items():
            if (preset.steps or 0) > self.max_steps:
                raise ValueError(f"steps of {name} are above max_steps")
            if (preset.guidance or 0) > self.max_guidance:
                raise ValueError(f"guidance of {name} is above max_guidance")
        if self.offload != "none" and self.compile:
            raise ValueError("compile and offload exclude each other")

    @property
    def first_size(self) -> tuple[int, int]:
        """Width and height where a request names none."""
        return parse_size(self.default_size or self.sizes[0])


def parse_size(size: str) -> tuple[int, int]:
    """Width and height in pixels. Raises ValueError."""
    found = _SIZE.fullmatch(size)
    if found is None or any(int(side) % _STEP_PIXELS for side in found.groups()):
        raise ValueError(f"size {size} is not WIDTHxHEIGHT in multiples of {_STEP_PIXELS}")
    return int(found[1]), int(found[2])
