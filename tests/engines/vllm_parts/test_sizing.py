"""GPUs, KV cache and requests at once: what a spec and its options say together, to ledger and engine alike."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.contract.spec import BackendSpec, Limits
from engines.vllm_chat import estimate
from engines.vllm_parts.arguments import engine_arguments
from engines.vllm_parts.options import Options
from engines.vllm_parts.sizing import find_contradictions
from tests.fakes.specs import make_spec

GIB = 1024**3
KIB = 1024
QWEN3_8B = {"num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
LLAMA_70B = {
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "hidden_size": 8192,
}


def spec_of(
    folder: Path, config: object, *, device: str = "cuda:0", at_once: int = 1, window: int = 1024
) -> BackendSpec:
    (folder / "config.json").write_text(json.dumps(config))
    spec = make_spec(device=device, limits=Limits(max_concurrency=at_once))
    return msgspec.structs.replace(spec, weights=str(folder), context_window=window)


@pytest.mark.parametrize(
    ("config", "device", "kib_per_token"),
    [
        (QWEN3_8B, "cuda:0", 144),
        (QWEN3_8B, "cuda:0,1", 72),
        (LLAMA_70B, "cuda:0,1,2,3", 80),
        ({"text_config": QWEN3_8B}, "cuda:0", 144),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, "cuda:0", 36),
        ({"num_hidden_layers": 2, "kv_lora_rank": 448, "qk_rope_head_dim": 64}, "cuda:0,1", 2),
    ],
)
def test_cache_of_a_token_is_read_from_the_models_configuration(
    tmp_path: Path, config: object, device: str, kib_per_token: int
) -> None:
    arguments = engine_arguments(spec_of(tmp_path, config, device=device), Options(), is_cpu=False)

    assert arguments["kv_cache_memory_bytes"] == 1024 * kib_per_token * KIB


def test_heads_that_do_not_divide_are_kept_twice(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {**QWEN3_8B, "num_key_value_heads": 1}, device="cuda:0,1")

    assert engine_arguments(spec, Options(), is_cpu=False)["kv_cache_memory_bytes"] == 1024 * 18 * KIB


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        (Options(dtype="bfloat16"), 1),
        (Options(dtype="float32"), 2),
        (Options(kv_cache_dtype="fp8"), 0.5),
        (Options(dtype="float32", kv_cache_dtype="fp8_e4m3"), 0.5),
        (Options(kv_cache_dtype="nvfp4"), 1),
    ],
)
def test_cache_follows_the_size_of_its_numbers(tmp_path: Path, options: Options, factor: float) -> None:
    arguments = engine_arguments(spec_of(tmp_path, QWEN3_8B), options, is_cpu=False)

    assert arguments["kv_cache_memory_bytes"] == 1024 * 144 * KIB * factor


@pytest.mark.parametrize(
    ("window", "at_once", "tokens"),
    [(1000, 1, 1024), (32768, 1, 32768), (32768, 256, 32768 + 255 * 1024), (256, 8, 8 * 256)],
)
def test_cache_holds_one_full_window_and_usual_requests_beside_it(
    tmp_path: Path, window: int, at_once: int, tokens: int
) -> None:
    spec = spec_of(tmp_path, QWEN3_8B, window=window, at_once=at_once)

    assert engine_arguments(spec, Options(), is_cpu=False)["kv_cache_memory_bytes"] == tokens * 144 * KIB


@pytest.mark.parametrize("options", [Options(), Options(kv_cache_memory_bytes=5 * GIB)])
@pytest.mark.parametrize("device", ["cuda:0", "cuda:0,1"])
def test_ledger_and_engine_agree(tmp_path: Path, device: str, options: Options) -> None:
    spec = spec_of(tmp_path, QWEN3_8B, device=device, at_once=64)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 300)

    told = estimate(spec, options)
    asked = engine_arguments(spec, options, is_cpu=False)["kv_cache_memory_bytes"]

    assert told.weights_bytes == 300
    assert told.working_bytes == (asked + 2 * GIB) * spec.num_gpus


def test_on_a_cpu_ledger_and_engine_agree_too(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {}, device="cpu")

    asked = engine_arguments(spec, Options(), is_cpu=True)["kv_cache_memory_bytes"]

    assert estimate(spec, Options()).working_bytes == asked == 256 * 1024**2


def test_configuration_that_does_not_tell_leaves_the_size_open(tmp_path: Path) -> None:
    arguments = engine_arguments(spec_of(tmp_path, {"model_type": "odd"}), Options(), is_cpu=False)

    assert arguments["kv_cache_memory_bytes"] is None


def test_gpus_share_the_model_and_requests_at_once_are_the_limits(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, QWEN3_8B, device="cuda:2,3", at_once=48)

    arguments = engine_arguments(spec, Options(), is_cpu=False)

    assert (arguments["tensor_parallel_size"], arguments["max_num_seqs"]) == (2, 48)


@pytest.mark.parametrize(
    ("device", "options", "paths"),
    [
        ("cuda:0", {}, []),
        ("cpu", {"tensor_parallel_size": 1}, []),
        ("cuda:0,1", {"tensor_parallel_size": 2}, []),
        ("cuda:0,1,2,3", {"extra_engine_args": {"pipeline_parallel_size": 2}}, []),
        ("cuda:0,1", {"tensor_parallel_size": 1}, ["options.tensor_parallel_size"]),
        ("auto", {"tensor_parallel_size": 2}, ["options.tensor_parallel_size"]),
        (
            "cuda:0,1,2",
            {"extra_engine_args": {"pipeline_parallel_size": 2}},
            ["options.tensor_parallel_size"],
        ),
        ("cuda:0", {"max_num_seqs": 64}, []),
        ("cuda:0", {"max_num_seqs": 63}, ["options.max_num_seqs"]),
        ("cuda:0", {"max_num_batched_tokens": 63}, ["options.max_num_batched_tokens"]),
        ("cuda:0", {"max_num_seqs": 4096}, ["options.max_num_batched_tokens"]),
    ],
)
def test_contradictions_are_named(device: str, options: dict[str, Any], paths: list[str]) -> None:
    spec = make_spec(device=device, limits=Limits(max_concurrency=64))

    found = list(find_contradictions(spec, msgspec.convert(options, Options)))

    assert [path for path, _ in found] == paths


def test_share_of_a_card_cannot_be_asked_for() -> None:
    with pytest.raises(msgspec.ValidationError, match="gpu_memory_utilization"):
        msgspec.convert({"extra_engine_args": {"gpu_memory_utilization": 0.9}}, Options)
