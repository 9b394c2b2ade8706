"""LangChain's ChatOpenAI against a running server."""

from collections.abc import Iterator

import httpx
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.e2e.conftest import RunningServer

pytestmark = pytest.mark.vllm


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """Weather of a city"""
    return f"It is sunny in {city}."


@pytest.fixture
def chat(server: RunningServer) -> Iterator[ChatOpenAI]:
    with httpx.Client(trust_env=False) as http_client:
        yield ChatOpenAI(
            model="starter/chat",
            base_url=f"{server.url}/oai/v1",
            api_key=server.key,
            temperature=0,
            max_retries=0,
            http_client=http_client,
        )


def test_invoke(chat: ChatOpenAI) -> None:
    answer = chat.invoke("What is the capital of France?")

    assert "Paris" in str(answer.content)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0


def test_stream_adds_up_to_the_answer(chat: ChatOpenAI) -> None:
    chunks = list(chat.stream("Count from 1 to 20", stream_usage=True))

    whole = AIMessageChunk("")
    for chunk in chunks:
        whole += chunk
    assert len(chunks) > 5
    assert whole.content == chat.invoke("Count from 1 to 20").content
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] > 0


def test_bound_tool_is_called_and_its_result_understood(chat: ChatOpenAI) -> None:
    with_tools = chat.bind_tools([get_weather])
    question = HumanMessage("What is the weather in Paris?")

    call = with_tools.invoke([question])
    result = ToolMessage(
        get_weather.invoke(call.tool_calls[0]["args"]), tool_call_id=call.tool_calls[0]["id"]
    )
    answer = with_tools.invoke([question, call, result])

    assert [(item["name"], item["args"]) for item in call.tool_calls] == [("get_weather", {"city": "Paris"})]
    assert answer.content


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat: ChatOpenAI, method: str) -> None:
    structured = chat.with_structured_output(Person, method=method)

    answer = structured.invoke("Give JSON for Anna, age 7.")

    assert isinstance(answer, Person)
    if method == "json_schema":
        assert answer == Person(name="Anna", age=7)
