"""From our `Sampling` to vLLM's, field by field, and from vLLM's refusals to ours; knows nothing of prompts."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from engines.contract.chat import OutputFormat, Sampling
from engines.contract.errors import EngineError, ErrorCode
from engines.vllm_parts import library as vllm

_GRAMMAR_CHECK_S = 2.0
_MAX_GRAMMAR_CHECKS = 2
_MAX_CHECKED_GRAMMARS = 512
_GREEDY = 1e-5  # below this vLLM samples greedily


class ParamsMaker:
    """Makes vLLM's sampling parameters for one model. `max_output_tokens` caps every answer; None means the context."""

    def __init__(self, llm: vllm.AsyncLLM, max_output_tokens: int | None) -> None:
        self._llm = llm
        self._defaults: dict[str, Any] = llm.model_config.get_diff_sampling_param()
        self._max_model_len: int = llm.model_config.max_model_len
        self._max_output_tokens = max_output_tokens or self._max_model_len
        self.vocabulary_size: int = llm.model_config.get_vocab_size()
        # Threads of their own: a pattern may take its compiler many seconds, and threads cannot be stopped.
        self._checkers = ThreadPoolExecutor(_MAX_GRAMMAR_CHECKS, "grammar")
        self._checked: OrderedDict[bytes, None] = OrderedDict()

    def make(self, sampling: Sampling, *, prompt_tokens: int, stream: bool) -> vllm.CheckedSamplingParams:
        """Parameters of one request. `max_tokens` is capped by the rest of the context and by `max_output_tokens`.

        `n` is left to the caller. Raises EngineError(VALIDATION_ERROR).
        """
        room = min(self._max_model_len - prompt_tokens, self._max_output_tokens)
        wanted = (
            sampling.max_tokens if sampling.max_tokens is not None else self._defaults.get("max_tokens", room)
        )
        max_tokens = min(wanted, room)
        self._check_bias(sampling)
        with refusals():
            return vllm.CheckedSamplingParams(
                max_tokens=max_tokens,
                min_tokens=min(sampling.min_tokens, max_tokens),
                temperature=self._default("temperature", sampling.temperature, 1.0),
                top_p=self._default("top_p", sampling.top_p, 1.0),
                top_k=self._default("top_k", sampling.top_k, 0),
                min_p=self._default("min_p", sampling.min_p, 0.0),
                seed=sampling.seed,
                stop=list(sampling.stop),
                stop_token_ids=list(self._defaults.get("stop_token_ids") or ()),
                presence_penalty=sampling.presence_penalty,
                frequency_penalty=sampling.frequency_penalty,
                repetition_penalty=self._repetition_penalty(sampling),
                logprobs=sampling.logprobs,
                logit_bias=dict(sampling.logit_bias) if sampling.logit_bias else None,
                ignore_eos=sampling.ignore_eos,
                output_kind=vllm.RequestOutputKind.DELTA if stream else vllm.RequestOutputKind.FINAL_ONLY,
                skip_clone=True,
            )

    async def constrain(
        self, params: vllm.CheckedSamplingParams, constraints: Sequence[Any], field: str
    ) -> None:
        """Bind the answer to the first of these grammars that compiles; they are compiled here, aside and bounded.

        Raises EngineError(VALIDATION_ERROR) naming `field` when none does.
        """
        for number, constraint in enumerate(constraints, start=1):
            params.structured_outputs = constraint
            try:
                return await self._check(params, constraint)
            except TimeoutError as error:
                raise _invalid(field, "the schema takes too long to compile") from error
            except (vllm.VLLMClientError, ValueError, RuntimeError, TypeError) as error:
                if number == len(constraints):
                    reason = "the schema cannot be compiled: it is invalid or uses an unsupported feature"
                    raise _invalid(field, reason) from error

    async def _check(self, params: vllm.CheckedSamplingParams, constraint: Any) -> None:
        key = hashlib.sha256(repr(constraint).encode()).digest()
        if key in self._checked:
            self._checked.move_to_end(key)
            constraint._backend = self._llm.vllm_config.structured_outputs_config.backend
            return
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_GRAMMAR_CHECK_S):
            await loop.run_in_executor(self._checkers, params.check_grammar, self._llm)
        self._checked[key] = None
        if len(self._checked) > _MAX_CHECKED_GRAMMARS:
            self._checked.popitem(last=False)

    def _check_bias(self, sampling: Sampling) -> None:
        if any(not 0 <= token < self.vocabulary_size for token in sampling.logit_bias or ()):
            raise _invalid("logit_bias", f"token ids must be from 0 to {self.vocabulary_size - 1}")

    def _default(self, name: str, wanted: float | None, otherwise: float) -> Any:
        return wanted if wanted is not None else self._defaults.get(name, otherwise)

    def _repetition_penalty(self, sampling: Sampling) -> float:
        """1.0 is our field's neutral value; then the model's own default counts."""
        wanted = sampling.repetition_penalty
        return wanted if wanted != 1.0 else float(self._defaults.get("repetition_penalty", 1.0))


def is_greedy(params: vllm.SamplingParams) -> bool:
    return bool(params.temperature < _GREEDY)


def format_constraint(form: OutputFormat) -> vllm.StructuredOutputsParams:
    """What binds an answer to `response_format`."""
    if form.kind == "json_object":
        return vllm.StructuredOutputsParams(json_object=True)
    return vllm.StructuredOutputsParams(json=json.dumps(form.schema or {}))


@contextmanager
def refusals() -> Iterator[None]:
    """Turn vLLM's exceptions into EngineError, with words of our own: its texts show internals."""
    try:
        yield
    except vllm.EngineDeadError as error:
        raise EngineError(ErrorCode.BACKEND_ERROR, "the engine died", worker_died=True) from error
    except vllm.GracefulHTTPError as error:
        raise EngineError(
            ErrorCode.BACKEND_RATE_LIMITED, "the model's queue is full", retry_after_s=1
        ) from error
    except vllm.VLLMClientError as error:
        parameter = getattr(error, "parameter", None)
        raise _invalid(str(parameter) if parameter else None, "the model refuses this value") from error
    except vllm.VLLMError as error:
        raise EngineError(ErrorCode.BACKEND_ERROR, "the engine failed to answer") from error


def _invalid(field: str | None, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)
