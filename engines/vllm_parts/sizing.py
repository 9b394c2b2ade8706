"""How many GPUs, how much KV cache and how many requests at once: what spec and options say together."""

from collections.abc import Iterator

from engines.contract.spec import BackendSpec
from engines.vllm_parts.kv_cache import cache_tokens, token_bytes
from engines.vllm_parts.options import Options

_CPU_KV_CACHE_BYTES = 256 * 1024 * 1024
_GPU_ENGINE_BYTES = 2 * 1024**3
"""Besides weights and KV cache on each GPU: CUDA's context, graphs, activations. Reckoned; a load measures it."""
_ONE_BYTE_CACHES = frozenset({"fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc"})
_DEFAULT_BATCHED_TOKENS = 2048  # vLLM's own


def num_sharing(spec: BackendSpec, options: Options) -> int:
    """GPUs that share each layer: as many as the spec has, divided by vLLM's other ways to use several."""
    return options.tensor_parallel_size or max(1, spec.num_gpus // _other_parallelism(options))


def kv_cache_bytes(spec: BackendSpec, options: Options, *, is_cpu: bool) -> int | None:
    """Of the KV cache on each GPU; None where neither options nor model tell. Raises OSError, ValueError."""
    if options.kv_cache_memory_bytes is not None:
        return options.kv_cache_memory_bytes
    if is_cpu:
        return _CPU_KV_CACHE_BYTES
    each = token_bytes(
        spec.weights, num_gpus=num_sharing(spec, options), value_bytes=_cached_value_bytes(options)
    )
    window = options.max_model_len or spec.text_window
    num_requests = options.max_num_seqs or spec.limits.max_concurrency
    return None if each is None else each * cache_tokens(window, num_requests)


def working_bytes(spec: BackendSpec, options: Options) -> int:
    """All that is not weights, over all devices of the spec. Raises OSError, ValueError."""
    is_cpu = spec.num_gpus == 0
    cache = kv_cache_bytes(spec, options, is_cpu=is_cpu) or 0
    return cache if is_cpu else (cache + _GPU_ENGINE_BYTES) * spec.num_gpus


def find_contradictions(spec: BackendSpec, options: Options) -> Iterator[tuple[str, str]]:
    """Between the options and the rest of the spec."""
    num_used, num_gpus = num_sharing(spec, options) * _other_parallelism(options), max(1, spec.num_gpus)
    if num_used != num_gpus:
        yield (
            "options.tensor_parallel_size",
            f"makes {num_used} GPUs, but the model has {num_gpus}: name its `gpus`",
        )
    num_requests, allowed = options.max_num_seqs, spec.limits.max_concurrency
    if num_requests is not None and num_requests < allowed:
        message = f"is below limits.max_concurrency ({allowed}): say so there, or requests queue inside vLLM unordered"
        yield "options.max_num_seqs", message
    most = options.max_num_batched_tokens or _DEFAULT_BATCHED_TOKENS
    if (num_requests or allowed) > most:
        yield (
            "options.max_num_batched_tokens",
            f"must not be below the {num_requests or allowed} requests at once",
        )


def _cached_value_bytes(options: Options) -> float:
    if options.kv_cache_dtype in _ONE_BYTE_CACHES:
        return 1.0
    is_wide = options.dtype == "float32" and options.kv_cache_dtype == "auto"
    return 4.0 if is_wide else 2.0


def _other_parallelism(options: Options) -> int:
    extra = options.extra_engine_args
    return int(extra.get("pipeline_parallel_size", 1)) * int(extra.get("data_parallel_size", 1))
