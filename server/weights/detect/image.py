"""Pictures: a folder of diffusers, by its pipeline. Numbers are those that each pipeline's own manual begins with."""

from typing import Any

import msgspec

from engines.contract.types import Modality
from server.weights.detect.detected import Detected, as_int, as_text
from server.weights.documents import INDEX, Documents
from server.weights.problem import NotServed

_SQUARE = ("1024x1024",)
_MEGAPIXEL = ("1024x1024", "1152x896", "896x1152", "1216x832", "832x1216", "1344x768", "768x1344")
_QWEN = ("1328x1328", "1664x928", "928x1664", "1472x1104", "1104x1472")
_NO_TEXT_TO_IMAGE = (
    "Video", "Img2Img", "Inpaint", "ControlNet", "Upscale", "Audio", "Edit", "Wan", "LTX", "Mochi", "Depth",
    "Prior", "Kontext", "Redux", "Fill", "Variation",
)  # fmt: skip
_LATENT_SIDE = 8  # pixels for each number of a latent picture


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline is asked for unless a request says otherwise."""

    sizes: tuple[str, ...]
    steps: int
    guidance: float
    more: dict[str, Any] = {}


PIPELINES = {
    "StableDiffusionPipeline": Pipeline(sizes=("512x512",), steps=30, guidance=7.5),
    "StableDiffusionXLPipeline": Pipeline(sizes=_MEGAPIXEL, steps=30, guidance=5.0),
    "StableDiffusion3Pipeline": Pipeline(
        sizes=_MEGAPIXEL, steps=40, guidance=4.5, more={"max_prompt_tokens": 256}
    ),
    "FluxPipeline": Pipeline(
        sizes=_MEGAPIXEL, steps=28, guidance=3.5, more={"negative_prompts": False, "max_prompt_tokens": 512}
    ),
    "QwenImagePipeline": Pipeline(
        sizes=_QWEN,
        steps=50,
        guidance=4.0,
        more={"guidance_argument": "true_cfg_scale", "default_negative_prompt": " "},
    ),
    "PixArtAlphaPipeline": Pipeline(sizes=_SQUARE, steps=20, guidance=4.5),
    "PixArtSigmaPipeline": Pipeline(sizes=_SQUARE, steps=20, guidance=4.5),
    "SanaPipeline": Pipeline(sizes=_SQUARE, steps=20, guidance=4.5),
    "HunyuanDiTPipeline": Pipeline(sizes=_SQUARE, steps=50, guidance=5.0),
    "KolorsPipeline": Pipeline(sizes=_SQUARE, steps=50, guidance=5.0),
    "AuraFlowPipeline": Pipeline(sizes=_SQUARE, steps=50, guidance=3.5),
    "CogView4Pipeline": Pipeline(sizes=_SQUARE, steps=50, guidance=5.0),
    "Lumina2Pipeline": Pipeline(sizes=_SQUARE, steps=30, guidance=4.0),
    "ZImagePipeline": Pipeline(sizes=_SQUARE, steps=9, guidance=0.0),
}
_SCHNELL = Pipeline(
    sizes=_MEGAPIXEL,
    steps=4,
    guidance=0.0,
    more={"max_steps": 8, "max_guidance": 0, "negative_prompts": False, "max_prompt_tokens": 256},
)


def detect_image(documents: Documents) -> Detected | None:
    if not documents.has(INDEX):
        return None
    name = as_text(documents.get(INDEX).get("_class_name"))
    if not name or any(part in name for part in _NO_TEXT_TO_IMAGE):
        raise NotServed(f"{documents.model}: the pipeline {name[:100]!r} does not draw pictures from text")
    pipeline, is_known = _pipeline(name, documents), name in PIPELINES
    return Detected(
        engine="diffusers_image",
        modality=Modality.IMAGE,
        summary="pictures from text, on diffusers",
        limits={"max_concurrency": 16, "max_queue": 64, "queue_timeout_s": 120},
        options=_options(pipeline, documents),
        notes=()
        if is_known
        else (f"The pipeline {name} is not known here: see its own manual for sizes, steps and guidance.",),
    )


def _pipeline(name: str, documents: Documents) -> Pipeline:
    if name == "FluxPipeline" and documents.get("transformer/config.json").get("guidance_embeds") is False:
        return _SCHNELL
    return PIPELINES.get(name, Pipeline(sizes=_SQUARE, steps=30, guidance=5.0))


def _options(pipeline: Pipeline, documents: Documents) -> dict[str, Any]:
    options: dict[str, Any] = {
        "sizes": list(_own_size(documents) or pipeline.sizes),
        "steps": pipeline.steps,
        "guidance": pipeline.guidance,
    }
    if half := find_variant(documents):
        options["variant"] = half
    return options | pipeline.more


def _own_size(documents: Documents) -> tuple[str, ...]:
    """Of a unet, which was trained at one size; SDXL's 128 stands for a megapixel of any shape."""
    latent = as_int(documents.get("unet/config.json").get("sample_size"))
    if latent is None or latent >= 128:
        return ()
    side = latent * _scale(documents)
    return (f"{side}x{side}",)


def _scale(documents: Documents) -> int:
    """How many pixels the decoder makes of one number: each of its blocks but one doubles the side."""
    blocks = documents.get("vae/config.json").get("block_out_channels")
    return int(2 ** (len(blocks) - 1)) if isinstance(blocks, list) and blocks else _LATENT_SIDE


def components(documents: Documents) -> tuple[str, ...]:
    """Folders of the parts that are loaded."""
    index = documents.get(INDEX)
    unused = ("safety_checker", "feature_extractor", "image_encoder")
    return tuple(
        name
        for name, value in index.items()
        if not name.startswith("_")
        and isinstance(value, list)
        and value != [None, None]
        and name not in unused
    )


def find_variant(documents: Documents) -> str | None:
    """`fp16` if every part with weights has them in half precision too: half the bytes, and as good on a GPU."""
    parts: dict[str, set[bool]] = {}
    for name in documents.sizes:
        folder, _, file = name.rpartition("/")
        if folder in components(documents) and file.endswith(".safetensors"):
            parts.setdefault(folder, set()).add(".fp16" in file)
    return "fp16" if parts and all(True in found for found in parts.values()) else None
