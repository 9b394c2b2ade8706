"""What a folder of diffusers says of its pipeline, and how large it will be in memory; reads JSON and headers only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.diffusers_parts.options import Options, Quantization, parse_size
from engines.runtime import environment

INDEX = "model_index.json"
_PLAIN_LIBRARIES = frozenset({"diffusers", "transformers"})
UNUSED_COMPONENTS = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Parts of a pipeline that drawing from text needs not: they are never loaded."""
_HEADER_LENGTH_BYTES = 8
_QUANTIZED_BYTES: dict[Quantization, float] = {
    "bitsandbytes_8bit": 1,
    "bitsandbytes_4bit": 0.5,
    "torchao_int8": 1,
    "torchao_float8": 1,
    "torchao_float8_dynamic": 1,
}
_LIBRARY_BYTES = (
    512 * 2**20
)  # PyTorch and diffusers: 500 MB resident with a model of 7 MB, measured by getrusage
_CONTEXT_BYTES = 700 * 2**20  # a CUDA context with its libraries' workspaces; not measured here
_TENSORS_ALIVE = 4  # of the decoder's widest layer, at once


class PipelineIndex(msgspec.Struct, frozen=True):
    """`components` are those that will be loaded: name to (library, class)."""

    class_name: str
    components: dict[str, tuple[str, str]]
    unused: tuple[str, ...]


class _DecoderConfig(msgspec.Struct, frozen=True):
    """What AutoencoderKL and Qwen-Image's decoder call their widths."""

    block_out_channels: list[int] = []
    base_dim: int = 128


def read_index(folder: Path) -> PipelineIndex:
    """Raises VALIDATION_ERROR if it names anything but plain classes of diffusers and transformers.

    A component's library may also be a module of diffusers' own pipelines: `diffusers_parts.library` checks that.
    """
    index: Any = _json(folder / INDEX)
    class_name = index.get("_class_name") if isinstance(index, dict) else None
    if not isinstance(class_name, str) or not class_name.isidentifier():
        raise _refused("_class_name must name one class of diffusers")
    components: dict[str, tuple[str, str]] = {}
    unused = []
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue
        if name in UNUSED_COMPONENTS:
            unused.append(name)
        elif value != [None, None]:
            components[name] = _component(name, value)
    return PipelineIndex(class_name, components, tuple(unused))


def is_plain_library(name: str) -> bool:
    return name in _PLAIN_LIBRARIES


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    """Weights in the number format of `options`, and the peak of decoding a full batch of the largest size.

    Raises OSError or ValueError for a folder that cannot be read.
    """
    folder = Path(spec.weights)
    try:
        components = read_index(folder).components
    except EngineError as error:
        raise ValueError(error.message) from error
    on_gpu = environment.has_gpu(spec.device)
    item_bytes = _item_bytes(options, on_gpu=on_gpu)
    sizes = [_component_bytes(folder, name, options, item_bytes) for name in components]
    weights = sum(sizes) if options.offload == "none" or not on_gpu else max(sizes, default=0)
    base = _CONTEXT_BYTES if on_gpu else _LIBRARY_BYTES
    return MemoryEstimate(weights, base + _decoding_bytes(folder, options, item_bytes))


def _component(name: str, value: list[Any]) -> tuple[str, str]:
    if len(value) != 2 or not all(isinstance(part, str) and part.isidentifier() for part in value):
        raise _refused(f"{name} must name a library and one of its classes")
    return value[0], value[1]


def _item_bytes(options: Options, *, on_gpu: bool) -> int:
    if options.dtype == "auto":
        return 2 if on_gpu else 4
    return 4 if options.dtype == "float32" else 2


def _component_bytes(folder: Path, name: str, options: Options, item_bytes: float) -> int:
    kind = options.quantization.get(name)
    per_item = _QUANTIZED_BYTES[kind] if kind else item_bytes
    return int(sum(_num_items(file) for file in weight_files(folder / name, options.variant)) * per_item)


def weight_files(folder: Path, variant: str | None) -> list[Path]:
    """The safetensors files that diffusers takes: those of `variant` if there are any, else the plain ones."""
    files = sorted(folder.glob("*.safetensors"))
    marked = [file for file in files if variant and f".{variant}" in file.name]
    # `model.safetensors` has no mark, `model.fp16.safetensors` has one, `model-00001-of-00002.safetensors` none.
    return marked or [file for file in files if file.name.count(".") == 1]


def _num_items(file: Path) -> int:
    """Numbers in a safetensors file, from its header."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_HEADER_LENGTH_BYTES), "little")
        try:
            header: dict[str, Any] = msgspec.json.decode(stream.read(length), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(f"{file.name} has a broken header") from error
    return sum(_product(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _product(shape: list[int]) -> int:
    items = 1
    for side in shape:
        items *= side
    return items


def _decoding_bytes(folder: Path, options: Options, item_bytes: int) -> int:
    """The decoder's last blocks work at full size: their widest layer decides, for as many pictures as it sees."""
    channels = max(_decoder_widths(folder / "vae/config.json")[:2])
    pictures = 1 if options.vae_slicing else options.max_batch_pictures
    pixels = max(width * height for width, height in _sizes(options))
    return pixels * pictures * channels * _TENSORS_ALIVE * item_bytes


def _decoder_widths(config: Path) -> list[int]:
    """Channels of its blocks, the last one first; a usual value where the folder does not say."""
    try:
        told = msgspec.json.decode(config.read_bytes(), type=_DecoderConfig)
    except (OSError, msgspec.DecodeError):
        told = _DecoderConfig()
    return told.block_out_channels or [told.base_dim]


def _sizes(options: Options) -> Iterator[tuple[int, int]]:
    return map(parse_size, options.sizes)


def _json(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise EngineError(ErrorCode.VALIDATION_ERROR, f"cannot read {path.name} of the weights") from error


def _refused(reason: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, f"{INDEX}: {reason}")
