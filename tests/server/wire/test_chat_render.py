"""Chat answers in both dialects, read back from their bytes."""

import json
from typing import Any

import pytest

from engines.contract.chat import Delta, ToolCall, ToolCallDelta
from engines.contract.errors import ErrorCode
from engines.contract.types import Usage
from server.errors import ServiceError, invalid
from server.joining import Choice, as_delta
from server.wire.chat_render import NativeChat, OpenAIChat
from server.wire.heading import Heading
from tests.server.wire.events import choices, chunks, drawn

HEADING = Heading("chatcmpl-1", 1760000000, "starter/chat")
USAGE = Usage(9, 3, cached_tokens=4, reasoning_tokens=1)
USAGE_OBJECT = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
HEAD = b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"starter/chat",'


def native() -> NativeChat:
    return NativeChat(HEADING, "req_1")


def openai(*, includes_usage: bool = False) -> OpenAIChat:
    return OpenAIChat(HEADING, includes_usage=includes_usage)


def choice(**fields: Any) -> Choice:
    values = {"index": 0, "content": "hi", "reasoning": "", "tool_calls": (), "logprobs": ()}
    return Choice(**(values | {"finish_reason": "stop"} | fields))


def test_native_stream_byte_for_byte() -> None:
    renderer = native()

    first = renderer.items([Delta(0, "Hel"), Delta(0, 'l"o\n')])
    last = renderer.items([Delta(0, "!", finish_reason="stop")]) + renderer.end(Usage(9, 3))

    assert first == (
        b"data: "
        + HEAD
        + b'"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}'
        b"\n\ndata: "
        + HEAD
        + b'"choices":[{"index":0,"delta":{"content":"l\\"o\\n"},"finish_reason":null}]}\n\n'
    )
    assert last == (
        b"data: " + HEAD + b'"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":null}]}\n\n'
        b"data: "
        + HEAD
        + b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,'
        b'"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":0}}}\n\n'
    )


def test_openai_stream_sends_usage_in_a_chunk_of_its_own() -> None:
    renderer = openai(includes_usage=True)

    frames = renderer.items([Delta(0, "hi", finish_reason="stop")]) + renderer.end(USAGE)

    text, finish, usage = chunks(frames)
    assert text["choices"][0]["delta"] == {"role": "assistant", "content": "hi"}
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert [text["usage"], finish["usage"]] == [None, None]
    assert (usage["choices"], usage["usage"]) == ([], USAGE_OBJECT)


def test_openai_stream_without_include_usage_says_nothing_of_it() -> None:
    renderer = openai()

    frames = renderer.items([Delta(0, "hi", finish_reason="stop")]) + renderer.end(USAGE)

    assert ["usage" in chunk for chunk in chunks(frames)] == [False, False]


@pytest.mark.parametrize("renderer", [native(), openai()])
def test_nothing_is_sent_before_the_first_piece(renderer: NativeChat | OpenAIChat) -> None:
    assert renderer.items([]) == b""
    assert renderer.items([Delta(0)]) == b""


def test_every_choice_has_its_own_role_and_finish() -> None:
    renderer = native()

    frames = renderer.items([Delta(1, "b"), Delta(0, "a"), Delta(1, "c", finish_reason="length")])
    frames += renderer.items([Delta(0, "d", finish_reason="stop")]) + renderer.end(USAGE)

    sent = [(part["index"], part["delta"], part["finish_reason"]) for part in choices(frames)]
    assert sent == [
        (1, {"role": "assistant", "content": "b"}, None),
        (0, {"role": "assistant", "content": "a"}, None),
        (1, {"content": "c"}, None),
        (0, {"content": "d"}, None),
        (1, {}, "length"),
        (0, {}, "stop"),
    ]
    assert ["usage" in chunk for chunk in chunks(frames)] == [0, 0, 0, 0, 0, 1]


def test_openai_choice_that_ends_early_says_so_at_once() -> None:
    frames = openai().items([Delta(1, "b", finish_reason="stop")])

    assert [part["finish_reason"] for part in choices(frames)] == [None, "stop"]


@pytest.mark.parametrize("renderer", [native(), openai()])
def test_empty_answer_has_a_role_and_a_finish(renderer: NativeChat | OpenAIChat) -> None:
    frames = renderer.items([Delta(0, finish_reason="stop")]) + renderer.end(USAGE)

    assert [part["delta"] for part in choices(frames)] == [{"role": "assistant", "content": ""}, {}]


def test_tool_call_pieces() -> None:
    renderer = openai()

    frames = renderer.items([Delta(0, tool_calls=(ToolCallDelta(0, "call_1", "get_weather"),))])
    frames += renderer.items([Delta(0, tool_calls=(ToolCallDelta(0, arguments='{"city'),))])
    frames += renderer.items([Delta(0, finish_reason="tool_calls")])

    first, second, last = choices(frames)
    assert first["delta"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": ""},
            }
        ],
    }
    assert second["delta"] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"city'}}]}
    assert last["finish_reason"] == "tool_calls"


def test_reasoning_is_sent_apart_from_content() -> None:
    frames = native().items([Delta(0, reasoning="hm"), Delta(0, "so", "hm"), Delta(0, "yes")])

    assert [part["delta"] for part in choices(frames)] == [
        {"role": "assistant", "content": "", "reasoning_content": "hm"},
        {"content": "so", "reasoning_content": "hm"},
        {"content": "yes"},
    ]


def test_logprobs_come_with_their_piece() -> None:
    frames = openai().items([Delta(0, "é", logprobs=(drawn("é"),)), Delta(0, "b")])

    with_logprobs, without = choices(frames)
    token = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    impossible = {"token": "x", "logprob": -9999.0, "bytes": [120]}
    assert {
        "content": [token | {"top_logprobs": [token, impossible]}],
        "refusal": None,
    } == with_logprobs["logprobs"]
    assert "logprobs" not in without


def test_native_failure_is_a_bare_object() -> None:
    frame = native().failure(ServiceError(ErrorCode.BACKEND_ERROR, "The worker died"))

    assert frame == b'event: error\ndata: {"code":"BACKEND_ERROR","message":"The worker died"}\n\n'


def test_openai_failure_is_an_error_object_that_sdks_raise() -> None:
    event, data = openai().failure(invalid("messages", "too long")).split(b"\n", 1)

    assert event == b"event: error"
    assert json.loads(data.removeprefix(b"data: ")) == {
        "error": {
            "message": "messages: too long",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "VALIDATION_ERROR",
        }
    }


def test_native_answer_stands_in_the_envelope() -> None:
    body = json.loads(native().whole([as_delta(choice())], USAGE))

    assert body == {
        "status": "ok",
        "data": {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1760000000,
            "model": "starter/chat",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "hi", "tool_calls": None},
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE_OBJECT,
        },
        "meta": {"request_id": "req_1"},
    }


def test_openai_answer_has_no_envelope_and_no_empty_tool_calls() -> None:
    body = json.loads(openai().whole([as_delta(choice())], USAGE))

    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "hi", "refusal": None}
    assert body["usage"] == USAGE_OBJECT


def test_answer_with_tool_calls_reasoning_and_logprobs() -> None:
    calls = (ToolCall("call_1", "get_weather", '{"city":"Paris"}'),)
    answer = choice(
        content="", reasoning="hm", tool_calls=calls, logprobs=(drawn("a"),), finish_reason="tool_calls"
    )

    body = json.loads(openai().whole([as_delta(answer)], USAGE))

    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
            }
        ],
    }
    assert body["choices"][0]["logprobs"]["content"][0]["token"] == "a"
    assert body["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("renderer", [native(), openai()])
def test_lone_surrogate_of_a_model_never_raises(renderer: NativeChat | OpenAIChat) -> None:
    broken = "a\ud800b"
    piece = Delta(0, broken, broken, (ToolCallDelta(0, "call_1", broken, broken),), (drawn("x"),))

    frames = renderer.items([Delta(0, broken), Delta(0, broken), piece])
    whole = renderer.whole([as_delta(choice(content=broken))], USAGE)

    assert len(chunks(frames)) == 3
    assert json.loads(whole)
