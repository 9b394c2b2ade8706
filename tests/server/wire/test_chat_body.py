"""What a chat body may hold, and which field is named when it may not."""

from typing import Any

import pytest

from engines.contract.chat import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    OutputFormat,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from tests.server.wire.chats import CALL, WEATHER_TOOL, chat, nested, parsed, talk

USER = {"role": "user", "content": "hi"}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def named(name: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def call(**function: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": CALL["function"] | function}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": WEATHER_TOOL["function"] | function}


def json_schema(schema: object, name: str = "answer") -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


WRONG_VALUES: list[tuple[str, object, str]] = [
    ("model", None, "model"),
    ("model", "", "model"),
    ("model", "x" * 201, "model"),
    ("model", 5, "model"),
    ("messages", None, "messages"),
    ("messages", [], "messages"),
    ("messages", {}, "messages"),
    ("messages", "hi", "messages"),
    ("messages", ["hi"], "messages.0"),
    ("messages", [USER] * 4097, "messages"),
    ("max_tokens", 0, "max_tokens"),
    ("max_tokens", -1, "max_tokens"),
    ("max_tokens", 2**31, "max_tokens"),
    ("max_tokens", "12", "max_tokens"),
    ("max_tokens", 12.5, "max_tokens"),
    ("max_tokens", True, "max_tokens"),
    ("max_completion_tokens", 0, "max_completion_tokens"),
    ("min_tokens", -1, "min_tokens"),
    ("temperature", -0.1, "temperature"),
    ("temperature", 2.1, "temperature"),
    ("temperature", "1", "temperature"),
    ("temperature", True, "temperature"),
    ("top_p", 0, "top_p"),
    ("top_p", 1.1, "top_p"),
    ("top_k", -2, "top_k"),
    ("top_k", 1.5, "top_k"),
    ("min_p", -0.1, "min_p"),
    ("min_p", 1.1, "min_p"),
    ("seed", 2**63, "seed"),
    ("seed", 1.5, "seed"),
    ("n", 0, "n"),
    ("n", 9, "n"),
    ("presence_penalty", 2.1, "presence_penalty"),
    ("frequency_penalty", -2.1, "frequency_penalty"),
    ("repetition_penalty", 0, "repetition_penalty"),
    ("stop", "", "stop"),
    ("stop", 5, "stop"),
    ("stop", ["a", ""], "stop.1"),
    ("stop", ["a", None], "stop.1"),
    ("stop", ["a"] * 9, "stop"),
    ("stop", "x" * 257, "stop"),
    ("logprobs", 1, "logprobs"),
    ("top_logprobs", 21, "top_logprobs"),
    ("top_logprobs", 5, "top_logprobs"),
    ("logit_bias", [], "logit_bias"),
    ("logit_bias", {"a": 1}, "logit_bias"),
    ("logit_bias", {"-1": 1}, "logit_bias"),
    ("logit_bias", {"٣": 1}, "logit_bias"),
    ("logit_bias", {"1": 101}, "logit_bias"),
    ("logit_bias", {"1": "1"}, "logit_bias"),
    ("logit_bias", {"1": True}, "logit_bias"),
    ("logit_bias", {str(token): 1 for token in range(1025)}, "logit_bias"),
    ("stream", "yes", "stream"),
    ("stream", 1, "stream"),
    ("stream_options", {"include_usage": True}, "stream_options"),
    ("stream_options", {"include_usage": "yes"}, "stream_options.include_usage"),
    ("metadata", "x", "metadata"),
    ("user", 5, "user"),
    ("user", "x" * 513, "user"),
    ("thinking", "on", "thinking"),
    ("reasoning_effort", "huge", "reasoning_effort"),
    ("modalities", ["text", "audio"], "modalities.1"),
    ("tools", {}, "tools"),
    ("tools", [WEATHER_TOOL] * 129, "tools"),
    ("tools", ["get_weather"], "tools.0"),
    ("tools", [{"type": "web_search"}], "tools.0.type"),
    ("tools", [tool(name="get weather")], "tools.0.function.name"),
    ("tools", [tool(name="")], "tools.0.function.name"),
    ("tools", [tool(name="x" * 65)], "tools.0.function.name"),
    ("tools", [tool(parameters=[])], "tools.0.function.parameters"),
    ("tools", [tool(parameters={"type": "array"})], "tools.0.function.parameters.type"),
    ("tools", [tool(parameters=nested(33))], "tools.0.function.parameters"),
    ("tools", [tool(description="x" * 16385)], "tools.0.function.description"),
    ("tools", [WEATHER_TOOL, WEATHER_TOOL], "tools.1.function.name"),
    ("tool_choice", "auto", "tool_choice"),
    ("tool_choice", "any", "tool_choice"),
    ("tool_choice", 5, "tool_choice"),
    ("tool_choice", named("get_weather"), "tool_choice"),
    ("parallel_tool_calls", "no", "parallel_tool_calls"),
    ("response_format", "json", "response_format"),
    ("response_format", {"type": "xml"}, "response_format.type"),
    ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
    ("response_format", json_schema([]), "response_format.json_schema.schema"),
    ("response_format", json_schema({}, name="a b"), "response_format.json_schema.name"),
    ("response_format", json_schema(nested(33)), "response_format.json_schema.schema"),
    ("response_format", json_schema({"title": "x" * 70_000}), "response_format.json_schema.schema"),
    ("response_format", json_schema({"pattern": "x" * 2049}), "response_format.json_schema.schema"),
    (
        "response_format",
        json_schema({"items": [{"patternProperties": {"x" * 2049: {}}}]}),
        "response_format.json_schema.schema",
    ),
]


def refused_field(body: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as refusal:
        parsed(body)

    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert refusal.value.details[0].field in refusal.value.message
    return refusal.value.details[0].field


@pytest.mark.parametrize(("name", "value", "field"), WRONG_VALUES)
def test_wrong_value_is_refused_with_its_path(name: str, value: object, field: str) -> None:
    assert field == refused_field(chat(**{name: value}))


REFUSED_BY_NAME: dict[str, object] = {
    "functions": [],
    "function_call": "auto",
    "audio": {"voice": "alloy"},
    "prediction": {"type": "content"},
    "web_search_options": {},
    "chat_template": "{{ messages }}",
    "chat_template_kwargs": {"enable_thinking": False},
    "stop_token_ids": [1],
    "guided_json": {},
    "structured_outputs": {},
}


@pytest.mark.parametrize("name", REFUSED_BY_NAME)
def test_field_that_would_change_the_answer_is_refused_by_name(name: str) -> None:
    assert name == refused_field(chat(**{name: REFUSED_BY_NAME[name]}))


@pytest.mark.parametrize("name", REFUSED_BY_NAME)
def test_refused_field_may_be_null(name: str) -> None:
    assert parsed(chat()) == parsed(chat(**{name: None}))


WRONG_TALKS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"content": "hi"}], "messages.0.role"),
    ([{"role": "robot", "content": "hi"}], "messages.0.role"),
    ([{"role": "function", "content": "hi"}], "messages.0.role"),
    ([{"role": "user"}], "messages.0.content"),
    ([{"role": "user", "content": None}], "messages.0.content"),
    ([{"role": "user", "content": 5}], "messages.0.content"),
    ([{"role": "user", "content": {}}], "messages.0.content"),
    ([{"role": "user", "content": []}], "messages.0.content"),
    ([{"role": "user", "content": ["hi"]}], "messages.0.content.0"),
    ([{"role": "user", "content": [{"type": "text"}]}], "messages.0.content.0.text"),
    ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages.0.content.0.text"),
    ([{"role": "user", "content": [{"text": "hi"}]}], "messages.0.content.0.type"),
    ([{"role": "user", "content": [{"type": "poem", "text": "hi"}]}], "messages.0.content.0.type"),
    ([{"role": "user", "content": [{"type": "refusal", "refusal": "no"}]}], "messages.0.content.0.type"),
    ([USER, {"role": "assistant", "content": None}], "messages.1.content"),
    ([USER, {"role": "assistant", "content": None, "tool_calls": []}], "messages.1.content"),
    ([USER | {"tool_calls": [CALL]}], "messages.0.tool_calls"),
    ([USER | {"name": "x" * 65}], "messages.0.name"),
    ([CALLING | {"tool_calls": [call(arguments="{")]}], "messages.0.tool_calls.0.function.arguments"),
    ([CALLING | {"tool_calls": [call(arguments="[]")]}], "messages.0.tool_calls.0.function.arguments"),
    ([CALLING | {"tool_calls": [call(arguments={})]}], "messages.0.tool_calls.0.function.arguments"),
    ([CALLING | {"tool_calls": [call(name="a b")]}], "messages.0.tool_calls.0.function.name"),
    ([CALLING | {"tool_calls": [CALL | {"id": ""}]}], "messages.0.tool_calls.0.id"),
    ([USER, {"role": "tool", "content": "sunny"}], "messages.1.tool_call_id"),
    ([USER, {"role": "tool", "content": "x", "tool_call_id": "call_1"}], "messages.1.tool_call_id"),
    ([CALLING, {"role": "tool", "content": "x", "tool_call_id": "call_2"}], "messages.1.tool_call_id"),
    ([{"role": "tool", "content": "x", "tool_call_id": "call_1"}, CALLING], "messages.0.tool_call_id"),
    ([CALLING, {"role": "tool", "tool_call_id": "call_1"}], "messages.1.content"),
]


@pytest.mark.parametrize(("messages", "field"), WRONG_TALKS)
def test_wrong_conversation_is_refused_with_its_path(messages: list[dict[str, Any]], field: str) -> None:
    assert field == refused_field(talk(*messages))


PNG_URL = "data:image/png;base64,iVBORw=="
WRONG_PARTS = [
    ({"type": "file", "file": {"file_id": "f"}}, ""),
    ({"type": "image_url"}, ".image_url"),
    ({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}, ".image_url.url"),
    ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, ".image_url.url"),
    ({"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,iVBORw=="}}, ".image_url.url"),
    ({"type": "image_url", "image_url": {"url": "data:image/png,iVBORw=="}}, ".image_url.url"),
    ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}, ".image_url.url"),
    ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, ".image_url.url"),
    ({"type": "input_audio", "input_audio": {"data": "%%", "format": "wav"}}, ".input_audio.data"),
    ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "exe"}}, ".input_audio.format"),
    ({"type": "smell"}, ".type"),
]


@pytest.mark.parametrize(("part", "place"), WRONG_PARTS)
def test_wrong_media_part_is_refused_with_its_path(part: dict[str, Any], place: str) -> None:
    parts = [{"type": "text", "text": "look"}, part]

    assert refused_field(talk({"role": "user", "content": parts})) == f"messages.0.content.1{place}"


def test_only_a_user_shows_images() -> None:
    part = {"type": "image_url", "image_url": {"url": PNG_URL}}

    assert refused_field(talk({"role": "system", "content": [part]})) == "messages.0.content.0"


def test_media_parts_keep_their_place_among_the_text() -> None:
    parts = [
        {"type": "text", "text": "Is this "},
        {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "low"}},
        {"type": "text", "text": "that?"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]

    (message,) = parsed(talk({"role": "user", "content": parts})).messages

    assert message.content == "Is this that?"
    assert message.parts == (
        TextPart("Is this "),
        ImagePart(b"\x89PNG"),
        TextPart("that?"),
        AudioPart(b"\0\0\0"),
    )


def test_parts_of_text_alone_are_plain_content() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    (message,) = parsed(talk({"role": "user", "content": parts})).messages

    assert (message.content, message.parts) == ("ab", ())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"max_tokens": 5, "min_tokens": 6}, "min_tokens"),
        ({"thinking": True, "reasoning_effort": "none"}, "thinking"),
        ({"tools": [WEATHER_TOOL], "tool_choice": named("other")}, "tool_choice.function.name"),
        ({"tools": [WEATHER_TOOL], "tool_choice": named(5)}, "tool_choice.function.name"),
        ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
    ],
)
def test_contradiction_is_refused(fields: dict[str, Any], field: str) -> None:
    assert field == refused_field(chat(**fields))


def test_schemas_of_all_tools_together_are_bounded() -> None:
    large = {"type": "object", "title": "x" * 60_000}
    tools = [tool(name=f"tool_{number}", parameters=large) for number in range(5)]

    assert refused_field(chat(tools=tools)) == "tools"
    assert len(parsed(chat(tools=tools[:4])).tools) == 4


def test_problems_never_repeat_what_the_client_sent() -> None:
    with pytest.raises(ServiceError) as refusal:
        parsed(chat(temperature="hunter2", stop=[{"hunter2": 1}], logit_bias={"hunter2": 1}, tools="hunter2"))

    assert "hunter2" not in refusal.value.message + str(refusal.value.details)


def test_every_problem_of_the_schema_is_listed() -> None:
    with pytest.raises(ServiceError) as refusal:
        parsed(chat(temperature=3, n=0, stop=5))

    assert {"temperature", "n", "stop"} == {problem.field for problem in refusal.value.details}


def test_smallest_body_asks_for_the_models_defaults() -> None:
    assert ChatRequest(messages=(Message("user", "hi"),)) == parsed(chat())


def test_null_means_absent() -> None:
    nulls = dict.fromkeys(
        ["max_tokens", "temperature", "stop", "n", "tools", "tool_choice", "stream", "seed"]
    )

    assert parsed(chat()) == parsed(chat(**nulls))


def test_unknown_fields_are_ignored() -> None:
    assert parsed(chat()) == parsed(chat(service_tier="auto", store=False, priority=0, request_id="x"))


def test_whole_sampling_reaches_the_contract() -> None:
    body = chat(
        max_completion_tokens=20,
        min_tokens=2,
        temperature=1,
        top_p=1,
        top_k=-1,
        min_p=0,
        seed=-(2**63),
        stop=["a", "b"],
        n=8,
        presence_penalty=-2,
        frequency_penalty=2,
        repetition_penalty=1.1,
        logprobs=True,
        top_logprobs=3,
        logit_bias={"7": -100},
        ignore_eos=True,
    )

    expected = Sampling(
        max_tokens=20,
        min_tokens=2,
        temperature=1.0,
        top_p=1.0,
        top_k=-1,
        min_p=0.0,
        seed=-(2**63),
        stop=("a", "b"),
        n=8,
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        repetition_penalty=1.1,
        logprobs=3,
        logit_bias={7: -100.0},
        ignore_eos=True,
    )
    assert expected == parsed(body).sampling


@pytest.mark.parametrize(
    ("fields", "logprobs"), [({}, None), ({"logprobs": False}, None), ({"logprobs": True}, 0)]
)
def test_logprobs_without_alternatives(fields: dict[str, Any], logprobs: int | None) -> None:
    assert logprobs == parsed(chat(**fields)).sampling.logprobs


def test_single_stop_string_becomes_a_list() -> None:
    assert parsed(chat(stop="END")).sampling.stop == ("END",)


def test_conversation_with_tools_reaches_the_contract() -> None:
    request = parsed(
        talk(
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            CALLING | {"reasoning_content": "hm"},
            {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
            tools=[WEATHER_TOOL],
            tool_choice=named("get_weather"),
            parallel_tool_calls=False,
        )
    )

    arguments = CALL["function"]["arguments"]
    assert (
        Message("system", "Be brief."),
        Message("user", "ab"),
        Message("assistant", tool_calls=(ToolCall("call_1", "get_weather", arguments),), reasoning="hm"),
        Message("tool", "sunny", tool_call_id="call_1"),
    ) == request.messages
    assert (Tool("get_weather", parameters=WEATHER_TOOL["function"]["parameters"]),) == request.tools
    assert ToolChoice("named", "get_weather") == request.tool_choice
    assert request.parallel_tool_calls is False


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_tool_choice_by_word(mode: str) -> None:
    assert mode == parsed(chat(tools=[WEATHER_TOOL], tool_choice=mode)).tool_choice.mode


def test_tool_without_parameters_is_accepted() -> None:
    assert (Tool("now"),) == parsed(chat(tools=[{"type": "function", "function": {"name": "now"}}])).tools


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputFormat("json_object")),
        (json_schema({"type": "object"}), OutputFormat("json_schema", {"type": "object"})),
        (json_schema(nested(32)), OutputFormat("json_schema", nested(32))),
    ],
)
def test_response_format(body: dict[str, Any], expected: OutputFormat | None) -> None:
    assert expected == parsed(chat(response_format=body)).output_format


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, None),
        ({"thinking": True}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, False),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "low", "thinking": True}, True),
    ],
)
def test_thinking(fields: dict[str, Any], thinking: bool | None) -> None:
    assert thinking is parsed(chat(**fields)).thinking
