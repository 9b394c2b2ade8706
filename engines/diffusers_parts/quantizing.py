"""From names of quantizations to diffusers' and transformers' configurations. Needs their libraries, GPUs mostly."""

import importlib
from typing import Any

from engines.contract.errors import EngineError, ErrorCode
from engines.diffusers_parts import library as lib
from engines.diffusers_parts.folder import PipelineIndex
from engines.diffusers_parts.options import Quantization

_TORCHAO: dict[Quantization, str] = {
    "torchao_int8": "Int8WeightOnlyConfig",
    "torchao_float8": "Float8WeightOnlyConfig",
    "torchao_float8_dynamic": "Float8DynamicActivationFloat8WeightConfig",
}


def quantization_config(wanted: dict[str, Quantization], index: PipelineIndex, dtype: Any) -> Any:
    """A `PipelineQuantizationConfig`, or None if nothing is wanted. Raises VALIDATION_ERROR: unknown component, or a
    library that is not installed.
    """
    if not wanted:
        return None
    unknown = sorted(wanted.keys() - index.components.keys())
    if unknown:
        raise _refused(f"the pipeline has no component {unknown[0]}, but {', '.join(index.components)}")
    mapping = {
        name: _component_config(kind, index.components[name][0], dtype) for name, kind in wanted.items()
    }
    return lib.PipelineQuantizationConfig(quant_mapping=mapping)


def _component_config(kind: Quantization, library: str, dtype: Any) -> Any:
    """Components of transformers want transformers' own class of the same name."""
    module = importlib.import_module("transformers" if library == "transformers" else "diffusers")
    try:
        if kind in _TORCHAO:
            torchao = importlib.import_module("torchao.quantization")
            return module.TorchAoConfig(getattr(torchao, _TORCHAO[kind])())
        importlib.import_module("bitsandbytes")
    except ImportError as error:
        needed = kind.partition("_")[0]
        raise _refused(f"{kind} needs {needed}, which the engines' environment does not have") from error
    if kind == "bitsandbytes_8bit":
        return module.BitsAndBytesConfig(load_in_8bit=True)
    return module.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def _refused(reason: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, f"options.quantization: {reason}")
