"""Options of the vLLM chat engine and what they become as engine arguments; must import without vLLM."""

from typing import Any, Literal

import msgspec

from engines.contract.spec import BackendSpec, PositiveInt, PositiveSeconds

# Set from the spec, by this engine, or never: code from model repositories stays off (rule of the house).
_REFUSED_ARGUMENTS = frozenset(
    {
        "model",
        "tokenizer",
        "tokenizer_mode",
        "trust_remote_code",
        "hf_overrides",
        "hf_config_path",
        "hf_token",
        "download_dir",
        "revision",
        "code_revision",
        "tokenizer_revision",
        "enable_log_requests",
        "worker_cls",
        "worker_extension_cls",
        "logits_processors",
        "middleware",
        "model_impl",
        "served_model_name",
    }
)
_CPU_KV_CACHE_BYTES = 256 * 1024 * 1024
_UNIPROC = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a backend with `engine: vllm_chat`. What is left out keeps vLLM's default unless said otherwise.

    Model and memory:
    `dtype`: `auto` takes the checkpoint's, on a CPU `float32`.
    `quantization`: only for checkpoints that do not name theirs.
    `max_model_len`: default is the spec's `context_window`.
    `kv_cache_memory_bytes`: exact size of the KV cache; overrides `gpu_memory_utilization`. On a CPU 256 MiB.
    `kv_cache_dtype`: for example `fp8`.
    `tensor_parallel_size`: number of GPUs that share the model.

    Scheduling:
    `max_num_seqs`: most requests in one step. `max_num_batched_tokens`: most tokens in one step.
    `max_num_queued_reqs`: most requests inside the engine; beyond it they are refused as rate limited.
    `performance_mode`: `interactivity` or `throughput` shift vLLM's own defaults.
    `enable_prefix_caching`: reuse the KV cache of equal beginnings. `enforce_eager`: no graphs; on a CPU the default.
    `sleep`: on a GPU, hold weights and KV cache so that the model can sleep at vLLM's levels. Nothing on a CPU: vLLM
    takes the order there, but frees nothing.
    `speculative_config`: as vLLM's, for example `{method: ngram, num_speculative_tokens: 4}`.

    Answers:
    `tool_parser`: the format of tool calls the model was trained on. `reasoning_parser`: none unless named.
    `default_thinking`: whether the model thinks where a request does not say; unset leaves it to the chat template.
    `tool_strict_level`: `function` or `parameter` constrain tool calls also where `tool_choice` is `auto`.
    `disable_any_whitespace`: JSON answers are compact; keeps small models from endless indentation.

    Media, on models with the capabilities `vision` and `audio_input`:
    `max_images`, `max_sounds`: most of one request. `max_sound_s`: longest sound, in seconds.

    Process:
    `omp_num_threads`: threads per process; on a CPU half the processors unless given. `seed`: of the engine.
    `load_format`: for example `dummy`. `extra_engine_args`: any other field of vLLM's `AsyncEngineArgs`.
    """

    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    quantization: str | None = None
    max_model_len: PositiveInt | None = None
    kv_cache_memory_bytes: PositiveInt | None = None
    kv_cache_dtype: str = "auto"
    gpu_memory_utilization: float | None = None
    tensor_parallel_size: PositiveInt = 1
    max_num_seqs: PositiveInt | None = None
    max_num_batched_tokens: PositiveInt | None = None
    max_num_queued_reqs: PositiveInt | None = None
    performance_mode: Literal["balanced", "interactivity", "throughput"] = "balanced"
    enable_prefix_caching: bool = True
    enforce_eager: bool | None = None
    sleep: bool = True
    speculative_config: dict[str, Any] | None = None
    tool_parser: str = "hermes"
    reasoning_parser: str | None = None
    default_thinking: bool | None = None
    tool_strict_level: Literal["auto", "function", "parameter"] = "auto"
    disable_any_whitespace: bool = True
    max_images: PositiveInt = 8
    max_sounds: PositiveInt = 2
    max_sound_s: PositiveSeconds = 300.0
    omp_num_threads: PositiveInt | None = None
    seed: int = 0
    load_format: str = "auto"
    extra_engine_args: dict[str, Any] = {}

    def __post_init__(self) -> None:
        refused = sorted(_REFUSED_ARGUMENTS & self.extra_engine_args.keys())
        if refused:
            raise ValueError(f"extra_engine_args may not set {', '.join(refused)}")
        doubled = sorted(set(self.__struct_fields__) & self.extra_engine_args.keys())
        if doubled:
            raise ValueError(f"extra_engine_args may not repeat the options {', '.join(doubled)}")


def engine_arguments(spec: BackendSpec, options: Options, *, is_cpu: bool) -> dict[str, Any]:
    """Keyword arguments for vLLM's `AsyncEngineArgs`, defaults for the kind of machine filled in.

    The CPU's defaults were measured: float32 is up to seven times faster than bfloat16 without AVX-512, the executor
    in the engine's own process saves a process that spins, and eager mode starts half a minute sooner.
    """
    arguments: dict[str, Any] = {
        "model": spec.weights,
        "served_model_name": [spec.id],
        "trust_remote_code": False,
        "dtype": options.dtype,
        "quantization": options.quantization,
        "max_model_len": options.max_model_len or spec.text_window,
        "kv_cache_memory_bytes": options.kv_cache_memory_bytes,
        "kv_cache_dtype": options.kv_cache_dtype,
        "tensor_parallel_size": options.tensor_parallel_size,
        "max_num_seqs": options.max_num_seqs,
        "max_num_batched_tokens": options.max_num_batched_tokens,
        "max_num_queued_reqs": options.max_num_queued_reqs or 4 * spec.limits.max_concurrency,
        "performance_mode": options.performance_mode,
        "enable_prefix_caching": options.enable_prefix_caching,
        "enforce_eager": bool(options.enforce_eager),
        "speculative_config": options.speculative_config,
        "seed": options.seed,
        "load_format": options.load_format,
        "scheduling_policy": "priority",
        "shutdown_timeout": 5,
        "disable_log_stats": True,
        "enable_log_requests": False,
        "max_logprobs": 20,
        "structured_outputs_config": {
            "backend": "xgrammar",
            "disable_any_whitespace": options.disable_any_whitespace,
        },
    }
    if spec.capabilities.vision or spec.capabilities.audio_input:
        arguments["limit_mm_per_prompt"] = {
            "image": options.max_images if spec.capabilities.vision else 0,
            "audio": options.max_sounds if spec.capabilities.audio_input else 0,
            "video": 0,
        }
    if options.reasoning_parser:
        arguments["reasoning_parser"] = options.reasoning_parser
    if options.gpu_memory_utilization is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory_utilization
    if is_cpu:
        arguments |= {
            "dtype": "float32" if options.dtype == "auto" else options.dtype,
            "enforce_eager": options.enforce_eager is not False,
            "distributed_executor_backend": _UNIPROC,
            "kv_cache_memory_bytes": options.kv_cache_memory_bytes or _CPU_KV_CACHE_BYTES,
        }
    return arguments | options.extra_engine_args


def kv_cache_bytes(spec: BackendSpec, options: Options) -> int:
    """The size of the KV cache as far as the configuration says it; a GPU's share is known only to vLLM."""
    default = _CPU_KV_CACHE_BYTES if spec.device == "cpu" else 0
    return options.kv_cache_memory_bytes or default
