"""Runs requests on a started AsyncLLM: prompt, parameters, submission, outputs, end; knows frames as little as HTTP."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import msgspec

from engines.contract.chat import ChatEvent, ChatRequest, GenerateRequest
from engines.contract.engine import EngineStats
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from engines.vllm_parts import library as vllm
from engines.vllm_parts.formats import AnswerFormats
from engines.vllm_parts.media import MediaReader
from engines.vllm_parts.options import Options
from engines.vllm_parts.outputs import Tally, TokenSpeller
from engines.vllm_parts.prompts import PromptRenderer
from engines.vllm_parts.readers import Reader
from engines.vllm_parts.sampling import ParamsMaker, format_constraint, is_greedy, refusals
from engines.vllm_parts.starting import Gauge, sleep_levels, start, stop, wake_up


class Serving:
    """One loaded model."""

    def __init__(self, llm: vllm.AsyncLLM, gauge: Gauge, spec: BackendSpec, options: Options) -> None:
        self._llm = llm
        self._gauge = gauge
        self._renderer = PromptRenderer(llm, llm.model_config.max_model_len)
        self._params = ParamsMaker(llm, spec.max_output_tokens)
        self._formats = AnswerFormats(llm, options)
        self._speller = TokenSpeller(llm.get_tokenizer())
        self._default_thinking = options.default_thinking
        self._media = MediaReader(options)
        self._ids = itertools.count()
        self.sleep_levels = sleep_levels(llm, options)
        self._sleep_level = 0

    @classmethod
    async def start(cls, spec: BackendSpec, options: Options) -> "Serving":
        """Load the model in a thread. Raises EngineError."""

        def load() -> Serving:
            gauge = Gauge()
            return cls(start(spec, options, gauge), gauge, spec, options)

        return await asyncio.to_thread(load)

    @property
    def has_chat_template(self) -> bool:
        return self._renderer.has_chat_template

    async def chat(self, request: ChatRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        if request.tool_choice.mode == "none":
            request = msgspec.structs.replace(request, tools=())
        if request.thinking is None:
            request = msgspec.structs.replace(request, thinking=self._default_thinking)
        ids = await self._renderer.chat(request.messages, request.tools, request.thinking)
        prompt = vllm.tokens_input(ids, cache_salt=request.cache_salt)
        if any(message.parts for message in request.messages):
            prompt = await self._with_media(request, ids)
            ids = prompt["prompt_token_ids"]
        params = self._params.make(request.sampling, prompt_tokens=len(ids), stream=request.stream)
        form = None if request.output_format is None else format_constraint(request.output_format)
        bound_by = None
        if form is not None or request.tools:
            # The marks around a call are special tokens in some models.
            params.skip_special_tokens = not request.tools
            bound_by = "tools" if request.tools else "response_format"
            await self._params.constrain(params, self._formats.constraints(request, form), bound_by)
        extra = self._formats.engine_arguments(request, ids)
        jobs = await self._submit([(prompt, params)], request.sampling.n, priority, **extra)
        readers = self._formats.readers(request, ids)
        return self._events(jobs, len(ids), request.sampling.logprobs, readers=readers, bound_by=bound_by)

    async def generate(self, request: GenerateRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        sampling, prompts = request.sampling, []
        for prompt in request.prompts:
            ids = await self._renderer.text(prompt, self._params.vocabulary_size)
            params = self._params.make(sampling, prompt_tokens=len(ids), stream=request.stream)
            if request.echo:
                params.prompt_logprobs, params.skip_reading_prefix_cache = sampling.logprobs, True
            if request.output_format is not None:
                form = format_constraint(request.output_format)
                await self._params.constrain(params, [form], "response_format")
            prompts.append((vllm.tokens_input(ids, cache_salt=request.cache_salt), params))
        jobs = await self._submit(prompts, sampling.n, priority)
        echoes = self._echoes(request) if request.echo else {}
        bound_by = "response_format" if request.output_format else None
        num_tokens = sum(len(prompt["prompt_token_ids"]) for prompt, _ in prompts)
        return self._events(jobs, num_tokens, sampling.logprobs, echoes=echoes, bound_by=bound_by)

    def _echoes(self, request: GenerateRequest) -> dict[int, str]:
        """Prompt text by choice."""
        texts = [p if isinstance(p, str) else self._speller.text(p) for p in request.prompts]
        n = request.sampling.n
        return {number * n + sample: text for number, text in enumerate(texts) for sample in range(n)}

    async def check_health(self) -> None:
        if self._llm.errored:
            raise EngineError(ErrorCode.BACKEND_ERROR, "vLLM's engine process died")

    def stats(self) -> EngineStats:
        return self._gauge.stats

    async def sleep(self, level: int) -> None:
        """vLLM forgets its prefix cache and what it keeps of images and sounds."""
        await self._llm.sleep(level)
        self._sleep_level = level

    async def wake(self) -> None:
        await wake_up(self._llm, self._sleep_level)

    async def close(self) -> None:
        self._media.close()
        await stop(self._llm)

    async def _with_media(self, request: ChatRequest, ids: list[int]) -> Any:
        """The prompt with images and sound in it; its token ids have the placeholders at their full length."""
        data = await self._media.read(request.messages)
        prompt = {"prompt_token_ids": ids, "multi_modal_data": data, "cache_salt": request.cache_salt}
        whole = vllm.TokenizeParams(max_total_tokens=None, add_special_tokens=False)
        with refusals():
            try:
                (rendered,) = await self._llm.renderer.render_cmpl_async([prompt], whole)
            except ValueError as error:
                raise EngineError(
                    ErrorCode.VALIDATION_ERROR,
                    "the model cannot use these images or sounds",
                    field="messages",
                ) from error
        self._renderer.check_length(len(rendered["prompt_token_ids"]), "messages")
        return rendered

    async def _submit(
        self,
        prompts: Sequence[tuple[Any, vllm.SamplingParams]],
        n: int,
        priority: Priority,
        **extra: Any,
    ) -> list["_Job"]:
        """Add the requests to the engine, which validates them; all or none. Raises EngineError."""
        name = f"r{next(self._ids)}"
        jobs: list[_Job] = []
        is_complete = False
        try:
            with refusals():
                for number, (prompt, params) in enumerate(prompts):
                    # vLLM refuses several greedy samples of one request: they become several requests.
                    copies = n if is_greedy(params) else 1
                    params.n = n // copies
                    for copy in range(copies):
                        collector = await self._llm.add_request(
                            name,
                            prompt,
                            params,
                            priority=int(priority),
                            **extra,
                        )
                        jobs.append(_Job(collector, number * n + copy, is_first_copy=copy == 0))
            is_complete = True
        finally:
            if not is_complete and not self._llm.errored:
                await self._llm.abort(name)
        return jobs

    async def _events(
        self,
        jobs: list["_Job"],
        prompt_tokens: int,
        num_logprobs: int | None,
        *,
        readers: Callable[[], Reader] | None = None,
        echoes: dict[int, str] | None = None,
        bound_by: str | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        tally = Tally(self._speller, num_logprobs, readers, echoes or {}, bound_by)
        cached_tokens = 0
        unfinished = list(jobs)
        try:
            with refusals():
                for job in jobs:
                    is_finished = False
                    while not is_finished:
                        output = job.collector.get_nowait() or await job.collector.get()
                        if is_finished := output.finished:
                            unfinished.remove(job)
                            cached_tokens += output.num_cached_tokens if job.is_first_copy else 0
                        for choice in output.outputs:
                            if delta := tally.delta(job.index + choice.index, choice, output):
                                yield delta
            yield Usage(prompt_tokens, tally.completion_tokens, cached_tokens, tally.reasoning_tokens)
        finally:
            if unfinished and not self._llm.errored:
                await self._llm.abort([job.collector.request_id for job in unfinished], internal=True)


class _Job(msgspec.Struct, frozen=True):
    """One request inside vLLM; its choices count from `index`."""

    collector: Any
    index: int
    is_first_copy: bool
