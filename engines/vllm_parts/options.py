"""Options of the vLLM chat engine; must import without vLLM."""

from typing import Any, Literal

import msgspec

from engines.contract.spec import PositiveInt, PositiveSeconds

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
        "gpu_memory_utilization",
    }
)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a backend with `engine: vllm_chat`. What is left out keeps vLLM's default unless said otherwise.

    Model and memory:
    `dtype`: `auto` takes the checkpoint's, on a CPU `float32`.
    `quantization`: only for checkpoints that do not name theirs.
    `max_model_len`: default is the spec's `context_window`.
    `kv_cache_memory_bytes`: exact size of the KV cache on each GPU. Default: room for one request that fills the window
    and for usual ones of 1024 tokens in all other places of `limits.max_concurrency`. On a CPU 256 MiB.
    `kv_cache_dtype`: for example `fp8`.
    `tensor_parallel_size`: number of GPUs that share the model; follows from `gpus` or `device`.

    Scheduling:
    `max_num_seqs`: most requests in one step; default is `limits.max_concurrency`, and less is refused.
    `max_num_batched_tokens`: most tokens in one step.
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
    tensor_parallel_size: PositiveInt | None = None
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
