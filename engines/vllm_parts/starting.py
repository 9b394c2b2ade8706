"""Starts and stops vLLM's engine and samples its state; knows nothing of requests."""

import dataclasses
import difflib
import gc
from typing import Any

from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.vllm_parts import library as vllm
from engines.vllm_parts.arguments import engine_arguments
from engines.vllm_parts.options import Options

_SHUTDOWN_S = 10.0


class Gauge:
    """Keeps the last sample that vLLM gave of its scheduler."""

    def __init__(self) -> None:
        self.stats = EngineStats()

    def logger(self, vllm_config: object, engine_index: int = 0) -> "vllm.StatLoggerBase":
        """Called by vLLM, as the factory of its stat logger."""
        return _Recorder(self)

    def record(self, scheduler: Any) -> None:
        last = self.stats
        if scheduler is None:
            self.stats = EngineStats(last.running, last.waiting, last.kv_cache_usage, last.steps + 1)
        else:
            self.stats = EngineStats(
                scheduler.num_running_reqs,
                scheduler.num_waiting_reqs,
                scheduler.kv_cache_usage,
                last.steps + 1,
            )


class _Recorder(vllm.StatLoggerBase):
    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
        self._gauge.record(scheduler_stats)

    def log_engine_initialized(self) -> None:
        return

    def log(self) -> None:
        return


def start(spec: BackendSpec, options: Options, gauge: Gauge) -> vllm.AsyncLLM:
    """Load the model; blocks until it can compute. Raises EngineError."""
    is_cpu = vllm.current_platform.is_cpu()
    arguments = _arguments(spec, options, is_cpu=is_cpu)
    _check_names(arguments)
    if not is_cpu:
        total_bytes = vllm.current_platform.get_device_total_memory()
        arguments["gpu_memory_utilization"] = least_share(arguments["kv_cache_memory_bytes"], total_bytes)
    if options.sleep and not is_cpu:
        arguments["enable_sleep_mode"] = vllm.current_platform.is_sleep_mode_available()
    arguments["structured_outputs_config"] = vllm.StructuredOutputsConfig(
        **arguments["structured_outputs_config"]
    )
    try:
        llm = vllm.AsyncLLM.from_engine_args(
            vllm.AsyncEngineArgs(**arguments),
            usage_context=vllm.UsageContext.ENGINE_CONTEXT,
            stat_loggers=[gauge.logger],
        )
    except (ValueError, TypeError, vllm.VLLMClientError) as error:
        # vLLM refuses a configuration with ValueError; its text is for the operator, who wrote the configuration.
        raise EngineError(ErrorCode.VALIDATION_ERROR, _first_line(error)) from error
    except (RuntimeError, OSError, vllm.VLLMError) as error:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, _first_line(error)) from error
    # Keep the scheduler's samples but not the front end's timings of every token, which nobody reads: a third of the
    # worker's CPU time per token. Effective because the output handler starts with the first request.
    llm.log_stats = llm.output_processor.log_stats = False
    return llm


def least_share(cache_bytes: int, total_bytes: int) -> float:
    """For vLLM's check at its start that this share of the card is free; the size of the cache is given, so that it
    decides nothing else. What the card has room for is the ledger's to know, so only what is certain is demanded.
    """
    return min(1.0, max(0.01, cache_bytes / total_bytes))


def _arguments(spec: BackendSpec, options: Options, *, is_cpu: bool) -> dict[str, Any]:
    try:
        arguments = engine_arguments(spec, options, is_cpu=is_cpu)
    except (OSError, ValueError) as error:
        raise EngineError(ErrorCode.VALIDATION_ERROR, f"config.json: {error}") from error
    if arguments["kv_cache_memory_bytes"] is None:
        message = (
            "config.json does not tell how large the KV cache must be: set options.kv_cache_memory_bytes"
        )
        raise EngineError(ErrorCode.VALIDATION_ERROR, message)
    return arguments


def sleep_levels(llm: vllm.AsyncLLM, options: Options) -> tuple[int, ...]:
    """None on a CPU. Only what lies in the checkpoint as the engine reads it can be dropped and read again."""
    if not llm.model_config.enable_sleep_mode:
        return ()
    is_plain = options.load_format in ("auto", "safetensors") and options.speculative_config is None
    return (1, 2) if is_plain else (1,)


async def wake_up(llm: vllm.AsyncLLM, level: int) -> None:
    """After a sleep at level 2 the weights are read before the KV cache takes its room: loading needs some itself."""
    if level == 2:
        await llm.wake_up(tags=["weights"])
        await llm.collective_rpc("reload_weights")
        await llm.wake_up(tags=["kv_cache"])
    else:
        await llm.wake_up()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"vLLM: {lines[0][:500]}"


def _check_names(arguments: dict[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(vllm.AsyncEngineArgs)}
    for name in arguments:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean `{nearest[0]}`?)" if nearest else ""
            raise EngineError(ErrorCode.VALIDATION_ERROR, f"vLLM has no engine argument `{name}`{hint}")


async def stop(llm: vllm.AsyncLLM) -> None:
    """Abort what runs, then shut down. The order matters: after `shutdown` waiting requests would hang for ever."""
    if not llm.errored:
        await llm.abort(list(llm.output_processor.request_states), internal=True)
    llm.shutdown(timeout=_SHUTDOWN_S)
    gc.collect()
