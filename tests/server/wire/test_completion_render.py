"""Answers of plain generation in both dialects, read back from their bytes."""

import json

from engines.contract.chat import Delta
from engines.contract.types import Usage
from server.joining import Choice, as_delta
from server.wire.completion_render import NativeGenerate, OpenAICompletion
from server.wire.heading import Heading
from tests.server.wire.events import choices, chunks, drawn

HEADING = Heading("cmpl-1", 1760000000, "starter/chat")
USAGE = Usage(4, 3)


def native() -> NativeGenerate:
    return NativeGenerate(HEADING, "req_1")


def openai(*, includes_usage: bool = False) -> OpenAICompletion:
    return OpenAICompletion(HEADING, includes_usage=includes_usage)


def test_native_stream_ends_with_usage_in_the_last_choice() -> None:
    renderer = native()

    frames = renderer.items([Delta(0, " there"), Delta(0, " was", finish_reason="length")]) + renderer.end(
        USAGE
    )

    first, second, last = chunks(frames)
    assert first["object"] == "text_completion"
    assert first["choices"][0] == {"index": 0, "text": " there", "logprobs": None, "finish_reason": None}
    assert second["choices"][0]["text"] == " was"
    assert (last["choices"][0]["text"], last["choices"][0]["finish_reason"]) == ("", "length")
    assert last["usage"]["total_tokens"] == 7


def test_openai_stream_with_usage() -> None:
    renderer = openai(includes_usage=True)

    frames = renderer.items([Delta(1, "a", finish_reason="stop")]) + renderer.end(USAGE)

    text, finish, usage = chunks(frames)
    assert [text["usage"], finish["usage"], usage["usage"]["total_tokens"]] == [None, None, 7]
    assert usage["choices"] == []


def test_text_offsets_continue_from_chunk_to_chunk_and_per_choice() -> None:
    renderer = openai()

    frames = renderer.items(
        [Delta(0, "ab", logprobs=(drawn("a"), drawn("b"))), Delta(1, "zz", logprobs=(drawn("zz"),))]
    )
    frames += renderer.items([Delta(0, "c", logprobs=(drawn("c"),))])

    assert [part["logprobs"]["text_offset"] for part in choices(frames)] == [[0, 1], [0], [2]]


def test_legacy_logprobs_of_a_whole_answer() -> None:
    answer = Choice(0, "ab", "", (), (drawn("a"), drawn("b", float("-inf"))), "length")

    body = json.loads(openai().whole([as_delta(answer)], USAGE))

    assert body["choices"][0]["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [-0.5, -9999.0],
        "top_logprobs": [{"a": -0.5, "x": -9999.0}, {"b": -9999.0, "x": -9999.0}],
        "text_offset": [0, 1],
    }


def test_native_answer_stands_in_the_envelope() -> None:
    body = json.loads(native().whole([as_delta(Choice(0, " there was", "", (), (), "length"))], USAGE))

    assert (body["status"], body["meta"]) == ("ok", {"request_id": "req_1"})
    assert body["data"]["object"] == "text_completion"
    assert body["data"]["choices"] == [
        {"index": 0, "text": " there was", "logprobs": None, "finish_reason": "length"}
    ]


def test_lone_surrogate_of_a_model_never_raises() -> None:
    renderer = native()

    assert len(chunks(renderer.items([Delta(0, "a\ud800")]))) == 1
