"""How large the KV cache of a model shall be on each GPU, from its config.json; must import without vLLM.

The size is an upper bound: layers that keep only a window of the text, or no text at all, count like the others.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

USUAL_TOKENS = 1024
"""Of a request with its answer: every place beyond the first has room for so many, the first for a whole window."""
BLOCK_TOKENS = 128  # vLLM hands the cache out in blocks of 16, for some kernels up to 128

# The names by which configurations of different families tell the same.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
_WIDTHS = ("hidden_size", "n_embd", "d_model")


def cache_tokens(window: int, num_requests: int) -> int:
    """For one request that fills the window and `num_requests - 1` usual ones beside it."""
    usual = min(window, USUAL_TOKENS)
    return _whole_blocks(window) + (num_requests - 1) * _whole_blocks(usual)


def token_bytes(weights: str, *, num_gpus: int, value_bytes: float) -> int | None:
    """Of one token on each of `num_gpus`; None where the configuration does not tell. Raises OSError, ValueError.

    `value_bytes` is the size of one number.
    """
    config = _text_config(json.loads((Path(weights) / "config.json").read_text(encoding="utf-8")))
    num_layers, per_layer = _first(config, _LAYERS), _values_per_layer(config, num_gpus)
    if num_layers is None or per_layer is None:
        return None
    return int(num_layers * per_layer * value_bytes)


def _values_per_layer(config: Mapping[str, Any], num_gpus: int) -> int | None:
    """Of one token on each GPU: keys and values of its heads, or the compressed ones of latent attention."""
    latent = config.get("kv_lora_rank")
    if isinstance(latent, int):
        return latent + int(config.get("qk_rope_head_dim") or 0)
    heads, width = _first(config, _HEADS), _first(config, _WIDTHS)
    if heads is None:
        return None
    head_width = _first(config, ("head_dim",)) or (width // heads if width else None)
    kv_heads = _first(config, _KV_HEADS) or heads
    return None if head_width is None else 2 * head_width * -(-kv_heads // num_gpus)


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a configuration for several media."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if isinstance(found := config.get(name), int) and found > 0), None)


def _whole_blocks(num_tokens: int) -> int:
    return -(-num_tokens // BLOCK_TOKENS) * BLOCK_TOKENS
