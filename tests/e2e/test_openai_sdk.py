"""The official OpenAI client against a running server: what we claim to support, and its error classes."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.e2e.conftest import RunningServer, StartServer

MODEL = "starter/chat"
WEATHER_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
WEATHER_QUESTION: Any = [{"role": "user", "content": "What is the weather in Paris?"}]


def ask(question: str) -> Any:
    return [{"role": "user", "content": question}]


def client_for(server: RunningServer, key: str | None = None) -> OpenAI:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    url = f"{server.url}/oai/v1"
    return OpenAI(base_url=url, api_key=key or server.key, max_retries=0, http_client=http_client)


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with client_for(server) as client:
        yield client


@pytest.fixture
async def async_client(server: RunningServer) -> AsyncIterator[AsyncOpenAI]:
    http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
    url = f"{server.url}/oai/v1"
    async with AsyncOpenAI(
        base_url=url, api_key=server.key, max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.mark.vllm
def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ask("What is the capital of France?"))

    assert "Paris" in str(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.tool_calls is None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.vllm
def test_streamed_chat_says_the_same_as_an_unstreamed_one(client: OpenAI) -> None:
    question = ask("Count from 1 to 20")
    whole = client.chat.completions.create(model=MODEL, messages=question, temperature=0)

    stream = client.chat.completions.create(
        model=MODEL,
        messages=question,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len(pieces) > 5
    assert chunks[-1].usage == whole.usage


@pytest.mark.vllm
async def test_async_chat_and_stream(async_client: AsyncOpenAI) -> None:
    question = ask("What is the capital of France?")
    whole = await async_client.chat.completions.create(model=MODEL, messages=question, temperature=0)

    stream = await async_client.chat.completions.create(
        model=MODEL, messages=question, temperature=0, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(pieces) == whole.choices[0].message.content


@pytest.mark.vllm
def test_tool_call_and_its_answer(client: OpenAI) -> None:
    first = client.chat.completions.create(model=MODEL, messages=WEATHER_QUESTION, tools=[WEATHER_TOOL])

    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    call: Any = message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}

    tool_answer = {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "sunny"}'}
    talk = [*WEATHER_QUESTION, message, tool_answer]
    second = client.chat.completions.create(model=MODEL, messages=talk, tools=[WEATHER_TOOL])
    assert second.choices[0].message.content


@pytest.mark.vllm
def test_streamed_tool_call_adds_up_to_the_same(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=WEATHER_QUESTION, tools=[WEATHER_TOOL], temperature=0
    ) as stream:
        final = stream.get_final_completion()

    calls: Any = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}


@pytest.mark.vllm
def test_named_tool_must_be_called(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=WEATHER_QUESTION,
        tools=[WEATHER_TOOL],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=64,
    )

    calls: Any = answer.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"]
    assert isinstance(json.loads(calls[0].function.arguments)["city"], str)


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.vllm
def test_structured_output_is_parsed(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model=MODEL, messages=ask("Give JSON for Anna, age 7."), response_format=Person, max_tokens=64
    )

    assert answer.choices[0].message.parsed == Person(name="Anna", age=7)


@pytest.mark.vllm
def test_any_json_object(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=ask("Give JSON for Anna, age 7."),
        response_format={"type": "json_object"},
        max_tokens=64,
    )

    assert isinstance(json.loads(str(answer.choices[0].message.content)), dict)


@pytest.mark.vllm
def test_several_choices_logprobs_and_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=ask("Count from 1 to 20"),
        n=3,
        seed=1,
        logprobs=True,
        top_logprobs=2,
        max_tokens=4,
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert [len(token.top_logprobs) for token in logprobs.content] == [2, 2, 2, 2]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


@pytest.mark.vllm
def test_stop_string_is_left_out(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=ask("Count from 1 to 20"), stop=["5"], temperature=0
    )

    assert answer.choices[0].finish_reason == "stop"
    assert "4" in str(answer.choices[0].message.content)
    assert "5" not in str(answer.choices[0].message.content)


@pytest.mark.vllm
def test_seed_repeats_a_drawn_answer(client: OpenAI) -> None:
    def drawn() -> str | None:
        answer = client.chat.completions.create(
            model=MODEL, messages=ask("hello"), seed=7, temperature=1, max_tokens=16
        )
        return answer.choices[0].message.content

    assert drawn() == drawn()


@pytest.mark.vllm
def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt=["hello", "good"], max_tokens=4, n=2, logprobs=2, temperature=1
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens or []) == len(logprobs.text_offset or []) > 0


@pytest.mark.vllm
def test_completion_echo_and_stream(client: OpenAI) -> None:
    whole = client.completions.create(model=MODEL, prompt="hello", max_tokens=4, echo=True, temperature=0)

    stream = client.completions.create(
        model=MODEL, prompt="hello", max_tokens=4, echo=True, temperature=0, stream=True
    )

    assert whole.choices[0].text.startswith("hello")
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


@pytest.mark.vllm
def test_models(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]

    assert MODEL in listed
    found = client.models.retrieve(MODEL)
    assert found.id == MODEL
    assert found.model_dump()["context_window"] > 0


@pytest.mark.vllm
def test_wrong_key_raises_authentication_error(server: RunningServer) -> None:
    with (
        client_for(server, "sgk_" + "x" * 40) as client,
        pytest.raises(openai.AuthenticationError) as failure,
    ):
        client.models.list()

    assert failure.value.code == "AUTH_TOKEN_INVALID"


@pytest.mark.vllm
def test_key_without_permission_raises_permission_denied(server: RunningServer) -> None:
    key = server.make_key(permissions=["models:list"])

    with client_for(server, key) as client, pytest.raises(openai.PermissionDeniedError) as failure:
        client.chat.completions.create(model=MODEL, messages=ask("hi"))

    assert failure.value.code == "AUTHZ_PERMISSION_DENIED"


@pytest.mark.vllm
def test_unknown_model_raises_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="nobody/nothing", messages=ask("hi"))
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/nothing")

    assert failure.value.code == "MODEL_NOT_FOUND"


@pytest.mark.vllm
def test_wrong_value_raises_bad_request_with_its_param(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model=MODEL, messages=ask("hi"), temperature=3)

    assert (failure.value.code, failure.value.param) == ("VALIDATION_ERROR", "temperature")


def test_refused_request_raises_rate_limit_error(start_fake: StartServer) -> None:
    server = start_fake({"echo": "{}"})

    with client_for(server) as client, pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(
            model="fake/echo", messages=ask("now !refuse:0:BACKEND_RATE_LIMITED"), stream=True
        )

    assert failure.value.code == "BACKEND_RATE_LIMITED"
    assert failure.value.response.headers["retry-after"] == "1"


def test_failure_within_a_stream_raises_api_error(start_fake: StartServer) -> None:
    server = start_fake({"echo": "{}"})

    pieces = []
    with client_for(server) as client:
        stream = client.chat.completions.create(
            model="fake/echo", messages=ask("one two three !fail:2:BACKEND_ERROR four"), stream=True
        )
        with pytest.raises(openai.APIError) as failure:
            pieces += [chunk.choices[0].delta.content for chunk in stream]

    assert failure.value.code == "BACKEND_ERROR"
    assert "told to fail" in failure.value.message
