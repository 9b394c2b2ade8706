"""Options become engine arguments with the defaults of the machine."""

from engines.vllm_parts.arguments import engine_arguments
from engines.vllm_parts.options import Options
from tests.fakes.specs import make_spec


def test_cpu_has_its_own_defaults() -> None:
    arguments = engine_arguments(make_spec(), Options(), is_cpu=True)

    assert arguments["dtype"] == "float32"
    assert arguments["enforce_eager"] is True
    assert arguments["kv_cache_memory_bytes"] == 256 * 2**20
    assert arguments["distributed_executor_backend"].endswith("UniProcExecutor")


def test_gpu_keeps_the_librarys_defaults() -> None:
    arguments = engine_arguments(make_spec(), Options(kv_cache_memory_bytes=1), is_cpu=False)

    assert (arguments["dtype"], arguments["enforce_eager"]) == ("auto", False)
    assert arguments["kv_cache_memory_bytes"] == 1
    assert "distributed_executor_backend" not in arguments


def test_what_is_given_is_kept_on_a_cpu_too() -> None:
    options = Options(dtype="bfloat16", enforce_eager=False, kv_cache_memory_bytes=1)

    arguments = engine_arguments(make_spec(), options, is_cpu=True)

    assert (arguments["dtype"], arguments["enforce_eager"], arguments["kv_cache_memory_bytes"]) == (
        "bfloat16",
        False,
        1,
    )


def test_context_and_code_come_from_the_spec_and_the_house() -> None:
    options = Options(kv_cache_memory_bytes=1, extra_engine_args={"block_size": 16})

    arguments = engine_arguments(make_spec(), options, is_cpu=False)

    assert arguments["max_model_len"] == 4096
    assert arguments["trust_remote_code"] is False
    assert arguments["scheduling_policy"] == "priority"
    assert arguments["block_size"] == 16
