"""What a speech body may hold, and which field is named when it may not."""

import json
from typing import Any

import pytest

from engines.contract.speech import SpeechRequest
from server.errors import ServiceError
from server.wire.json_body import validate
from server.wire.speech_body import SpeechBody, parse

MISTAKES: list[tuple[str, object, str]] = [
    ("model", None, "model"),
    ("model", "", "model"),
    ("input", None, "input"),
    ("input", "", "input"),
    ("input", ["a"], "input"),
    ("voice", "", "voice"),
    ("voice", 5, "voice"),
    ("voice", "x" * 65, "voice"),
    ("voice", {}, "voice.id"),
    ("voice", {"id": 5}, "voice.id"),
    ("response_format", "wma", "response_format"),
    ("response_format", "MP3", "response_format"),
    ("speed", 0, "speed"),
    ("speed", 0.24, "speed"),
    ("speed", 5, "speed"),
    ("speed", "1", "speed"),
    ("speed", True, "speed"),
    ("language", "english", "language"),
    ("seed", 2**63, "seed"),
    ("seed", 1.5, "seed"),
    ("stream_format", "websocket", "stream_format"),
    ("instructions", "Whisper.", "instructions"),
    ("instructions", {"tone": "low"}, "instructions"),
]


def body(**fields: Any) -> SpeechBody:
    raw = {"model": "starter/speech", "input": "Hello."} | fields
    return validate(json.dumps(raw).encode(), SpeechBody)


@pytest.mark.parametrize(("name", "value", "field"), MISTAKES)
def test_mistake_is_refused_with_its_path(name: str, value: object, field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        body(**{name: value})

    assert caught.value.details[0].field == field


@pytest.mark.parametrize("raw", [b'{"speed": NaN}', b'{"input": "\\ud800"}'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        validate(raw, SpeechBody)

    assert caught.value.details[0].field == "body"


def test_what_is_left_out_is_the_backends_choice() -> None:
    assert parse(body()) == SpeechRequest("Hello.", audio_format="mp3")


def test_null_is_absent() -> None:
    names = ("voice", "response_format", "speed", "language", "seed", "stream_format", "instructions")

    assert parse(body(**dict.fromkeys(names))) == parse(body())


def test_every_field_arrives() -> None:
    asked = body(voice="anna", response_format="opus", speed=2, language="de", seed=7)

    expected = SpeechRequest("Hello.", "anna", speed=2.0, audio_format="opus", language="de", seed=7)
    assert parse(asked) == expected


def test_voice_may_be_an_object_with_an_id() -> None:
    assert parse(body(voice={"id": "anna"})).voice == "anna"


def test_empty_instructions_are_none() -> None:
    assert parse(body(instructions="")) == parse(body())
