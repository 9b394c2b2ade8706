"""An engine without a library: repeats the last user message word by word, and fails on command.

Name it as `engine: tests.fakes.fake_engine`. Faults come from the backend's options or, so that one worker can
serve both good and bad requests, from the text of the request: see `Trigger`. Its weights are ballast: on device `cpu`
touched pages, which only level 2 frees; on a GPU, which need not exist, a number in its stats, which level 1 turns into
touched pages of the host and level 2 into nothing.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Literal

import msgspec

from engines.contract.chat import ChatEvent, ChatRequest, Delta, GenerateRequest, Sampling
from engines.contract.engine import EngineStats, MemoryEstimate, ReportProgress
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.contract.types import FinishReason, Priority, Usage
from engines.runtime.guard import Guard, too_large
from tests.fakes.ballast import MIB, Ballast

HAS_WEIGHTS = False

_WORDS = re.compile(r"\s*\S+")
_TRIGGER = re.compile(
    r"!(?P<what>die|hang|fail|crash|refuse|sick|grow|oom|device)(?::(?P<at>\d+))?(?::(?P<code>[A-Z_]+))?"
)
_LIBRARY_ERRORS = {
    "oom": "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB",
    "device": "CUDA error: an illegal memory access was encountered",
}
Fault = Literal["fail", "crash", "hang", "die"]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`load_failure`: `permanent` or `passing`. `die_at`, `hang_at`: token at which every request does so.

    `ballast_mib`: size of the weights. `estimate_mib`: what `estimate` says instead of the truth. `told_device_mib`:
    what its stats say that it holds on its GPU instead of the truth. `kept_mib`: what a sleep leaves in host memory.
    `sleep_levels`: what it offers; unset is what its device allows. Faults happen in place of the sleep or the wake.
    """

    load_delay_s: float = 0.0
    token_delay_s: float = 0.0
    load_failure: str | None = None
    die_on_load: bool = False
    die_at: int | None = None
    hang_at: int | None = None
    close_delay_s: float = 0.0
    ballast_mib: int = 0
    estimate_mib: int | None = None
    told_device_mib: int | None = None
    kept_mib: int = 0
    sleep_levels: tuple[int, ...] | None = None
    sleep_delay_s: float = 0.0
    wake_delay_s: float = 0.0
    sleep_fault: Fault | None = None
    wake_fault: Fault | None = None


class Trigger(msgspec.Struct, frozen=True):
    """A fault asked for in the text.

    `!die:3` (exit at token 3), `!hang:3`, `!fail:3:BACKEND_ERROR` (EngineError at token 3), `!crash:3` (unexpected
    exception), `!refuse:0:BACKEND_RATE_LIMITED` (before acceptance), `!sick` (health check fails), `!grow:64` (64 MiB
    more, which no sleep but only the process's end gives back), `!oom:3` and `!device:3` (what PyTorch raises without
    memory, and after an error that its GPU does not recover from).
    """

    what: str
    at: int = 0
    code: str = ErrorCode.BACKEND_ERROR


class Engine:
    """Implements the chat engine contract; token k of an answer is word k of the prompt."""

    def __init__(self, spec: BackendSpec, options: Options) -> None:
        self._options = options
        self._has_gpu = spec.device.startswith("cuda")
        self._weights = Ballast()
        self._leak = Ballast()
        self._device_mib = 0
        self._running = 0
        self._steps = 0
        self._is_sick = False
        self._guard = Guard()

    async def load(self, report: ReportProgress) -> None:
        report("loading", "pretending")
        await asyncio.sleep(self._options.load_delay_s)
        if self._options.die_on_load:
            os._exit(9)
        if self._options.load_failure is not None:
            is_permanent = self._options.load_failure == "permanent"
            code = ErrorCode.VALIDATION_ERROR if is_permanent else ErrorCode.MODEL_UNAVAILABLE
            raise EngineError(code, "told to fail while loading")
        self._take_weights()

    async def warm_up(self) -> None:
        return

    async def check_health(self) -> None:
        if self._is_sick:
            raise EngineError(ErrorCode.BACKEND_ERROR, "told to be sick")
        self._guard.check()

    def stats(self) -> EngineStats:
        told = self._options.told_device_mib
        device_mib = self._device_mib if told is None else told
        return EngineStats(running=self._running, steps=self._steps, device_bytes=device_mib * MIB)

    @property
    def sleep_levels(self) -> tuple[int, ...]:
        if self._options.sleep_levels is not None:
            return self._options.sleep_levels
        return (1, 2) if self._has_gpu else (2,)

    async def sleep(self, level: int) -> None:
        await asyncio.sleep(self._options.sleep_delay_s)
        await _suffer(self._options.sleep_fault)
        is_kept = level == 1 and self._has_gpu
        self._device_mib = 0
        self._weights.drop()
        self._weights.take(self._options.ballast_mib if is_kept else self._options.kept_mib)

    async def wake(self) -> None:
        await asyncio.sleep(self._options.wake_delay_s)
        await _suffer(self._options.wake_fault)
        self._weights.drop()
        self._take_weights()

    def _take_weights(self) -> None:
        if self._has_gpu:
            self._device_mib = self._options.ballast_mib
        else:
            self._weights.take(self._options.ballast_mib)

    async def close(self) -> None:
        await asyncio.sleep(self._options.close_delay_s)

    async def chat(self, request: ChatRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        text = next((m.content or "" for m in reversed(request.messages) if m.role == "user"), "")
        prompt_tokens = sum(len(_WORDS.findall(m.content or "")) for m in request.messages)
        return self._answer([text], prompt_tokens, request.sampling, stream=request.stream)

    async def generate(self, request: GenerateRequest, priority: Priority) -> AsyncGenerator[ChatEvent, None]:
        texts = [p if isinstance(p, str) else " ".join(map(str, p)) for p in request.prompts]
        prompt_tokens = sum(len(_WORDS.findall(text)) for text in texts)
        return self._answer(texts, prompt_tokens, request.sampling, stream=request.stream)

    def _answer(
        self, texts: list[str], prompt_tokens: int, sampling: Sampling, *, stream: bool
    ) -> AsyncGenerator[ChatEvent, None]:
        trigger = _trigger(texts[0])
        if trigger.what == "refuse":
            raise EngineError(ErrorCode(trigger.code), "told to refuse", field="messages", retry_after_s=1)
        self._is_sick = self._is_sick or trigger.what == "sick"
        if trigger.what == "grow":
            self._leak.take(trigger.at)
        answers = [list(_tokens(text, sampling)) for text in texts for _ in range(sampling.n)]
        return self._events(answers, prompt_tokens, trigger, stream=stream)

    async def _events(
        self, answers: list[list[Delta]], prompt_tokens: int, trigger: Trigger, *, stream: bool
    ) -> AsyncGenerator[ChatEvent, None]:
        self._running += 1
        try:
            for index, answer in enumerate(answers):
                for number, token in enumerate(answer):
                    await self._step(number, trigger)
                    if stream:
                        yield msgspec.structs.replace(token, index=index)
                if not stream:
                    yield Delta(
                        index, "".join(t.content for t in answer), finish_reason=answer[-1].finish_reason
                    )
            yield Usage(prompt_tokens, sum(map(len, answers)))
        finally:
            self._running -= 1

    async def _step(self, number: int, trigger: Trigger) -> None:
        await asyncio.sleep(self._options.token_delay_s)
        what = trigger.what if number == trigger.at else None
        if what == "die" or number == self._options.die_at:
            os._exit(9)
        if what == "hang" or number == self._options.hang_at:
            await asyncio.Event().wait()
        if what == "fail":
            raise EngineError(ErrorCode(trigger.code), "told to fail")
        if what == "crash":
            raise RuntimeError("told to crash")
        if what in _LIBRARY_ERRORS:
            self._guard.note(RuntimeError(_LIBRARY_ERRORS[what]))
            raise too_large()
        self._steps += 1


def estimate(spec: BackendSpec, options: Options) -> MemoryEstimate:
    told = options.estimate_mib
    return MemoryEstimate((options.ballast_mib if told is None else told) * MIB, 0)


async def _suffer(fault: Fault | None) -> None:
    match fault:
        case "fail":
            raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "told to fail")
        case "crash":
            raise RuntimeError("told to crash")
        case "hang":
            await asyncio.Event().wait()
        case "die":
            os._exit(9)


def _trigger(text: str) -> Trigger:
    found = _TRIGGER.search(text)
    if found is None:
        return Trigger("")
    return Trigger(found["what"], int(found["at"] or 0), found["code"] or ErrorCode.BACKEND_ERROR)


def _tokens(text: str, sampling: Sampling) -> Iterator[Delta]:
    """One delta per word, up to `max_tokens`; with `ignore_eos` the words repeat until then."""
    words = _WORDS.findall(text) or ["nothing"]
    wanted = len(words) if sampling.max_tokens is None else sampling.max_tokens
    if sampling.ignore_eos:
        words = words * (wanted // len(words) + 1)
    finish: FinishReason = "length" if wanted < len(words) else "stop"
    words = words[:wanted] or [""]
    for number, word in enumerate(words):
        yield Delta(0, word, finish_reason=finish if number == len(words) - 1 else None)
