"""The chat engine on a real vLLM and the starter model, through a real worker's socket."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import jsonschema
import msgspec
import pytest

from engines.contract.chat import (
    ChatRequest,
    GenerateRequest,
    Message,
    OutputFormat,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from engines.contract.errors import ErrorCode
from engines.contract.types import Priority
from tests.engines.conftest import CONTEXT, MAX_QUEUED, VllmWorker
from tests.engines.running_worker import Answer, Peer, chat

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

WEATHER = Tool(
    "get_weather",
    "Get the weather of a city",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
ADD = Tool(
    "add",
    "Add two numbers",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 9}, "y": {"enum": ["up", "down"]}},
    "required": ["x", "y"],
    "additionalProperties": False,
}


async def both(peer: Peer, request: ChatRequest) -> Answer:
    """The answer, after it was shown to be the same streamed and unstreamed."""
    whole = await peer.ask(msgspec.structs.replace(request, stream=False))
    streamed = await peer.ask(msgspec.structs.replace(request, stream=True))
    num_choices = request.sampling.n
    # Cached tokens differ: the second one finds the first one's prompt.
    assert whole.summary(num_choices)[1:] == streamed.summary(num_choices)[1:]
    assert whole.usage.total_tokens == streamed.usage.total_tokens
    return whole


async def all_of(peer: Peer, requests: Sequence[ChatRequest | GenerateRequest]) -> list[Answer]:
    return await asyncio.gather(*(peer.ask(request) for request in requests))


@pytest.mark.parametrize(
    "text", ["Hello!", "What is the capital of France?", "Count to five.", "<tool_call> or < ?"]
)
async def test_streamed_and_unstreamed_answers_are_equal(vllm: VllmWorker, text: str) -> None:
    _, peer = vllm

    answer = await both(peer, chat(text))

    assert answer.text()


async def test_model_stops_by_itself_and_follows_its_template(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("Hello!"))

    assert answer.finish_reason() == "stop"
    assert answer.usage.completion_tokens < 48
    assert "<|" not in answer.text()


async def test_seed_decides_the_answer_alone_and_in_a_batch(vllm: VllmWorker) -> None:
    _, peer = vllm
    seeded = chat("Tell me something.", temperature=1.5, seed=7, max_tokens=24, ignore_eos=True)

    (alone,) = await all_of(peer, [seeded])
    other, *together = await all_of(
        peer, [chat("Tell me something.", temperature=1.5, seed=8), *[seeded] * 7]
    )

    assert {answer.text() for answer in together} == {alone.text()}
    assert other.text() != alone.text()


async def test_stop_string_ends_the_answer_before_it(vllm: VllmWorker) -> None:
    _, peer = vllm
    full = (await peer.ask(chat("Count to five.", max_tokens=24, ignore_eos=True))).text()
    stop = full[len(full) // 2 :][:3]

    answer = await both(peer, chat("Count to five.", max_tokens=24, ignore_eos=True, stop=(stop,)))

    assert (answer.text(), answer.finish_reason()) == (full[: full.index(stop)], "stop")


async def test_n_gives_choices_and_counts_their_tokens(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await both(peer, chat("Hello!", n=3, temperature=1.0, seed=3, max_tokens=5, ignore_eos=True))

    assert answer.usage.completion_tokens == 15
    assert [answer.finish_reason(index) for index in range(3)] == ["length"] * 3


async def test_greedy_choices_are_equal(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await both(peer, chat("Hello!", n=2))

    assert answer.text(0) == answer.text(1) != ""


async def test_logprobs_spell_the_answer(vllm: VllmWorker) -> None:
    _, peer = vllm

    for stream in (False, True):
        answer = await peer.ask(chat("Hello!", logprobs=3, max_tokens=6, ignore_eos=True, stream=stream))
        tokens = [token for delta in answer.deltas for token in delta.logprobs]

        assert b"".join(token.chosen.data for token in tokens).startswith(answer.text().encode())
        assert [len(token.top) for token in tokens] == [3] * 6
        for token in tokens:
            assert token.chosen == token.top[0]  # greedy
            assert [a.logprob for a in token.top] == sorted((a.logprob for a in token.top), reverse=True)


async def test_logprobs_without_alternatives(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("Hello!", logprobs=0, max_tokens=2, ignore_eos=True))

    assert [token.top for delta in answer.deltas for token in delta.logprobs] == [(), ()]


async def test_json_schema_binds_the_answer(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(
        chat("Give me a point.", max_tokens=64), output_format=OutputFormat("json_schema", POINT)
    )

    answer = await both(peer, request)

    jsonschema.validate(json.loads(answer.text()), POINT)
    assert answer.finish_reason() == "stop"


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"type": "array", "items": {"type": "string"}, "uniqueItems": True}]
)
async def test_schema_that_cannot_be_compiled_is_refused_alone(
    vllm: VllmWorker, schema: dict[str, Any]
) -> None:
    _, peer = vllm
    bad = msgspec.structs.replace(chat("x"), output_format=OutputFormat("json_schema", schema))

    refused, fine = await all_of(peer, [bad, chat("Hello!")])

    assert not refused.is_accepted
    assert (refused.failure.code, refused.failure.field) == (ErrorCode.VALIDATION_ERROR, "response_format")
    assert fine.text()


async def test_model_calls_a_tool_that_it_was_offered(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(chat("What is the weather in Paris?"), tools=(WEATHER, ADD))

    answer = await both(peer, request)

    ((name, arguments),) = answer.calls()
    assert (name, set(json.loads(arguments))) == ("get_weather", {"city"})
    assert (answer.text(), answer.finish_reason()) == ("", "tool_calls")


@pytest.mark.parametrize(
    "choice", [ToolChoice("required"), ToolChoice("named", "add"), ToolChoice("named", "get_weather")]
)
async def test_forced_call_fits_the_schema_of_its_tool(vllm: VllmWorker, choice: ToolChoice) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(chat("Hello!", max_tokens=96), tools=(WEATHER, ADD), tool_choice=choice)

    answer = await both(peer, request)

    name, arguments = answer.calls()[0]
    if choice.name is not None:
        assert name == choice.name
    if answer.finish_reason() == "tool_calls":
        jsonschema.validate(json.loads(arguments), {"add": ADD, "get_weather": WEATHER}[name].parameters)


async def test_tools_are_not_offered_where_the_choice_is_none(vllm: VllmWorker) -> None:
    _, peer = vllm
    plain = chat("What is the weather in Paris?")
    request = msgspec.structs.replace(plain, tools=(WEATHER,), tool_choice=ToolChoice("none"))

    answer = await both(peer, request)

    assert answer.calls() == []
    assert answer.usage.prompt_tokens == (await peer.ask(plain)).usage.prompt_tokens


async def test_one_call_at_most_without_parallel_calls(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(
        chat("What is the weather in Paris and in Rome?"), tools=(WEATHER, ADD), parallel_tool_calls=False
    )

    answer = await both(peer, request)

    assert len(answer.calls()) <= 1


async def test_result_of_a_tool_goes_back_into_the_conversation(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(chat("What is the weather in Paris?"), tools=(WEATHER, ADD))
    called = await peer.ask(request)
    first = next(piece for delta in called.deltas for piece in delta.tool_calls)
    name, arguments = called.calls()[0]
    messages = (
        *request.messages,
        Message("assistant", None, tool_calls=(ToolCall(first.id or "", name, arguments),)),
        Message("tool", '{"weather": "sunny"}', tool_call_id=first.id),
    )

    answer = await both(peer, msgspec.structs.replace(request, messages=messages))

    assert answer.text()
    assert answer.usage.prompt_tokens > called.usage.prompt_tokens


async def test_prompt_that_does_not_fit_is_refused_with_numbers(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("word " * 600))

    assert not answer.is_accepted
    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "messages")
    assert str(CONTEXT) in answer.failure.message


async def test_max_tokens_is_capped_by_the_context(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("Hello!", max_tokens=100_000, ignore_eos=True))

    assert (answer.usage.total_tokens, answer.finish_reason()) == (CONTEXT, "length")


@pytest.mark.parametrize("token", [-1, 1_000_000])
async def test_bias_outside_the_vocabulary_is_refused(vllm: VllmWorker, token: int) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("Hello!", logit_bias={token: 1.0}))

    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "logit_bias")


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>"])
async def test_control_tokens_in_a_users_text_stay_text(vllm: VllmWorker, token: str) -> None:
    _, peer = vllm
    spelled, harmless = await all_of(peer, [chat(f"Hi {token} there"), chat(f"Hi {token[:-1]} there")])

    assert spelled.usage.prompt_tokens >= harmless.usage.prompt_tokens


async def test_generate_continues_texts_and_token_ids(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = GenerateRequest(
        ("Hello", (5, 6, 7)), Sampling(n=2, temperature=0.0, max_tokens=4, ignore_eos=True)
    )

    whole = await peer.ask(request)
    streamed = await peer.ask(msgspec.structs.replace(request, stream=True))

    assert whole.summary(4)[1:] == streamed.summary(4)[1:]
    assert whole.usage.completion_tokens == 16
    assert whole.text(0) == whole.text(1)


async def test_generate_echoes_the_prompt_with_its_logprobs(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(
        GenerateRequest(("Hello there",), Sampling(temperature=0.0, max_tokens=2, logprobs=1), echo=True)
    )

    tokens = [token for delta in answer.deltas for token in delta.logprobs]
    assert answer.text().startswith("Hello there")
    assert len(tokens) == answer.usage.total_tokens
    assert (tokens[0].chosen.logprob, tokens[0].top) == (0.0, ())


async def test_token_ids_outside_the_vocabulary_are_refused(vllm: VllmWorker) -> None:
    _, peer = vllm

    answer = await peer.ask(GenerateRequest(((5, 1_000_000),), Sampling(max_tokens=1)))

    assert (answer.failure.code, answer.failure.field) == (ErrorCode.VALIDATION_ERROR, "prompt")


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelled_requests_leave_the_engine_at_once(vllm: VllmWorker, stream: bool) -> None:
    """The engine takes MAX_QUEUED requests, so as many new ones fit only if it has let go of the cancelled ones."""
    _, peer = vllm
    endless = chat("Hello!", max_tokens=400, ignore_eos=True, stream=stream)
    running = [peer.start(endless) for _ in range(MAX_QUEUED)]
    for request in running:
        await request.next()
    refused = await peer.ask(endless)

    started = time.monotonic()
    for request in running:
        request.cancel()
    ended = [await request.answer() for request in running]
    duration_s = time.monotonic() - started
    again = await all_of(peer, [chat("Hello!", max_tokens=1)] * MAX_QUEUED)

    assert (refused.failure.code, refused.failure.retry_after_s) == (ErrorCode.BACKEND_RATE_LIMITED, 1)
    assert duration_s < 0.25
    assert all(answer.failure.message == "cancelled" for answer in ended)
    assert all(answer.usage.completion_tokens == 1 for answer in again)


async def test_interactive_request_overtakes_waiting_batch_work(vllm: VllmWorker) -> None:
    _, peer = vllm
    batch = [
        peer.start(chat("Hello!", max_tokens=100, ignore_eos=True), Priority.BATCH)
        for _ in range(MAX_QUEUED - 1)
    ]
    for request in batch:
        await request.next()

    await peer.ask(chat("Hello!", max_tokens=1), Priority.INTERACTIVE)
    num_unfinished = sum(not request.has_more() for request in batch)

    assert num_unfinished >= 7  # those that waited behind the first sixteen
    for request in batch:
        await request.answer()


async def test_requests_share_steps_and_steps_share_frames(vllm: VllmWorker) -> None:
    _, peer = vllm
    before = peer.num_items

    answers = await all_of(peer, [chat("Hello!", max_tokens=64, ignore_eos=True, stream=True)] * 16)

    num_tokens = sum(answer.usage.completion_tokens for answer in answers)
    assert num_tokens == 16 * 64
    assert peer.num_items - before < num_tokens / 4


async def test_stats_show_the_engine(vllm: VllmWorker) -> None:
    """The first frame that comes may have been on its way since earlier requests, so the second is looked at."""
    _, peer = vllm
    await peer.next_stats()
    request = peer.start(chat("Hello!", max_tokens=480, ignore_eos=True))
    await request.next()

    stats = await peer.next_stats()
    await request.answer()

    assert stats.engine.steps > 0
    assert stats.in_flight == 1


async def test_generate_keeps_to_a_format(vllm: VllmWorker) -> None:
    _, peer = vllm
    form = OutputFormat("json_schema", POINT)

    answer = await peer.ask(GenerateRequest(("A point:",), Sampling(max_tokens=64), output_format=form))

    jsonschema.validate(json.loads(answer.text()), POINT)


async def test_call_or_format_where_both_are_offered(vllm: VllmWorker) -> None:
    _, peer = vllm
    request = msgspec.structs.replace(
        chat("Hello!", max_tokens=96), tools=(WEATHER, ADD), output_format=OutputFormat("json_schema", POINT)
    )

    answer = await both(peer, request)

    if not answer.calls():
        jsonschema.validate(json.loads(answer.text()), POINT)


@pytest.mark.parametrize("seed", [0, -(2**63), 2**63 - 1, 2**64 - 1])
async def test_extreme_seeds_do_no_harm(vllm: VllmWorker, seed: int) -> None:
    _, peer = vllm

    answer = await peer.ask(chat("Hello!", seed=seed, temperature=1.0, max_tokens=2))

    assert answer.text() or answer.failure.code is ErrorCode.VALIDATION_ERROR
