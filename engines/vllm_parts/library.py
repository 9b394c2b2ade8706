"""Every import from vLLM, so that a new release is checked in one place; checked with vLLM 0.32.0.

Importing this module takes seconds and fails without vLLM: only `vllm_chat.Engine.load` starts it, in a thread.
`vllm.entrypoints`, `vllm.renderers`, `vllm.parser` and `vllm.tool_parsers` move between minor releases.
"""

from vllm import AsyncEngineArgs, RequestOutput, SamplingParams
from vllm.config import StructuredOutputsConfig
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import GracefulHTTPError, VLLMClientError, VLLMError
from vllm.inputs import tokens_input
from vllm.logprobs import Logprob
from vllm.model_executor.model_loader import get_model_cls
from vllm.parser import Parser, ParserManager
from vllm.platforms import current_platform
from vllm.renderers import ChatParams, TokenizeParams
from vllm.renderers.hf import (
    HfRenderer,
    resolve_chat_template_content_format,
    safe_apply_chat_template,
)
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.output_processor import RequestOutputCollector
from vllm.v1.metrics.loggers import StatLoggerBase

__all__ = [
    "AsyncEngineArgs",
    "AsyncLLM",
    "ChatCompletionRequest",
    "ChatParams",
    "CheckedSamplingParams",
    "EngineDeadError",
    "GracefulHTTPError",
    "HfRenderer",
    "Logprob",
    "Parser",
    "ParserManager",
    "RequestOutput",
    "RequestOutputCollector",
    "RequestOutputKind",
    "SamplingParams",
    "StatLoggerBase",
    "StructuredOutputsConfig",
    "StructuredOutputsParams",
    "TokenizeParams",
    "UsageContext",
    "VLLMClientError",
    "VLLMError",
    "current_platform",
    "get_model_cls",
    "resolve_chat_template_content_format",
    "safe_apply_chat_template",
    "tokens_input",
]


class CheckedSamplingParams(SamplingParams):
    """Sampling parameters whose grammar was already compiled once, in a thread.

    vLLM would compile it again on the event loop when the request is added.
    """

    def check_grammar(self, llm: AsyncLLM) -> None:
        """Compile the grammar as vLLM would. Blocks; raises what vLLM raises."""
        super()._validate_structured_outputs(
            llm.model_config, llm.vllm_config.structured_outputs_config, llm.get_tokenizer()
        )

    def _validate_structured_outputs(self, *_: object) -> None:
        return
