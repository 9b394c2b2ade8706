"""Options that embedding and reranking share, and what a model of them takes in memory. Imports no library."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.memory import weights_size_bytes
from engines.contract.spec import BackendSpec, PositiveInt
from engines.torch_parts.devices import Dtype

Attention = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3"]
Task = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

CPU_BATCH_TOKENS = 1024  # above it a CPU gets slower per token: the batch leaves its caches
GPU_BATCH_TOKENS = 32768
_DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_ROWS_PER_TOKEN = (
    16  # hidden states, queries, keys, values, the wide layer and copies of them, in hidden sizes
)
_LIBRARY_BYTES = 450 * 1024**2  # PyTorch, transformers and sentence-transformers by themselves


class ModelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`max_length` is in tokens and wins over the model's own files. `attn_implementation` is transformers'."""

    dtype: Dtype = "auto"
    max_batch_tokens: PositiveInt | None = None
    max_length: PositiveInt | None = None
    attn_implementation: Attention | None = None
    omp_num_threads: PositiveInt | None = None

    def batch_tokens(self, device: str) -> int:
        """Most tokens of a batch, padding included, on `device` as PyTorch calls it."""
        return self.max_batch_tokens or (CPU_BATCH_TOKENS if device == "cpu" else GPU_BATCH_TOKENS)


def estimate_memory(spec: BackendSpec, options: ModelOptions) -> MemoryEstimate:
    """An upper bound: `auto` counts as float32 unless a GPU is named, and the device as a GPU unless it is `cpu`.

    Raises ValueError for a model whose `config.json` cannot be read.
    """
    config = _read_config(Path(spec.weights))
    written_bytes = _DTYPE_BYTES.get(str(config.get("dtype") or config.get("torch_dtype")), 4)
    dtype = options.dtype
    if dtype == "auto":
        dtype = "bfloat16" if spec.device.startswith("cuda") else "float32"
    number_bytes = _DTYPE_BYTES[dtype]
    row_bytes = number_bytes * int(config.get("hidden_size") or 1024)
    num_tokens = max(options.batch_tokens(spec.device), spec.text_window)
    return MemoryEstimate(
        weights_bytes=weights_size_bytes(spec.weights) * number_bytes // written_bytes,
        working_bytes=num_tokens * _ROWS_PER_TOKEN * row_bytes + _LIBRARY_BYTES,
    )


def _read_config(folder: Path) -> dict[str, Any]:
    """The transformer's own `config.json`, which lies in the folder or, written by old versions, in a part's folder."""
    for path in (folder / "config.json", folder / "0_Transformer" / "config.json"):
        if path.is_file():
            return _decode(path.read_bytes())
    return {}


def _decode(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ValueError("config.json is not a JSON object") from error
