"""All five formats in both dialects, and the events of a stream."""

import json
from typing import Any

import pytest

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.wire.transcribe_body import TranscribeForm
from server.wire.transcript_render import NativeTranscript, OpenAITranscript
from tests.fakes.heard import FIRST, HEARD, INFO, SECOND, TEXT, USAGE
from tests.server.wire.events import chunks

DURATION = {"type": "duration", "seconds": 3.2}


def wanted(**fields: object) -> TranscribeForm:
    return TranscribeForm.model_validate({"model": "m"} | fields)


def openai(**fields: object) -> OpenAITranscript:
    return OpenAITranscript(wanted(**fields), "transcribe")


def native(accept: str = "*/*", **fields: object) -> NativeTranscript:
    return NativeTranscript(wanted(**fields), "transcribe", request_id="req_1", accept=accept)


def data(renderer: NativeTranscript) -> dict[str, Any]:
    body = json.loads(renderer.whole(HEARD, USAGE))
    assert (body["status"], body["meta"]) == ("ok", {"request_id": "req_1"})
    found: dict[str, Any] = body["data"]
    return found


@pytest.mark.parametrize("fields", [{}, {"response_format": "json"}])
def test_openai_json_has_text_and_usage(fields: dict[str, object]) -> None:
    renderer = openai(**fields)

    assert json.loads(renderer.whole(HEARD, USAGE)) == {"text": TEXT, "usage": DURATION}
    assert renderer.whole_type == "application/json"


def test_openai_text_and_subtitles_are_files() -> None:
    assert openai(response_format="text").whole(HEARD, USAGE) == TEXT.encode()
    assert openai(response_format="text").whole_type == "text/plain; charset=utf-8"
    assert openai(response_format="srt").whole(HEARD, USAGE).startswith(b"1\n00:00:00,000 --> ")
    assert openai(response_format="srt").whole_type == "application/x-subrip; charset=utf-8"
    assert openai(response_format="vtt").whole(HEARD, USAGE).startswith(b"WEBVTT\n\n00:00:00.000 --> ")
    assert openai(response_format="vtt").whole_type == "text/vtt; charset=utf-8"


def test_verbose_json_has_openais_members() -> None:
    body = json.loads(openai(response_format="verbose_json").whole(HEARD, USAGE))

    assert list(body) == ["task", "language", "duration", "text", "segments", "usage"]
    assert (body["task"], body["language"], body["duration"], body["text"]) == ("transcribe", "en", 3.2, TEXT)
    assert body["segments"][0] == {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": 1.5,
        "text": " Hello there.",
        "tokens": [7, 8],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 0.9,
        "no_speech_prob": 0.01,
    }
    assert body["segments"][1]["seek"] == 175


def test_granularities_choose_words_and_segments() -> None:
    only_words = openai(response_format="verbose_json", timestamp_granularities=["word"])
    both = openai(response_format="verbose_json", timestamp_granularities=["word", "segment"])

    words = [
        {"word": "Hello", "start": 0.0, "end": 0.7},
        {"word": "there.", "start": 0.7, "end": 1.5},
        {"word": "Goodbye.", "start": 1.75, "end": 3.0},
    ]
    found = json.loads(only_words.whole(HEARD, USAGE))
    assert found["words"] == words
    assert "segments" not in found
    assert set(json.loads(both.whole(HEARD, USAGE))) >= {"words", "segments"}


@pytest.mark.parametrize("fields", [{}, {"response_format": "text"}, {"response_format": "json"}])
def test_native_answers_text_in_the_envelope(fields: dict[str, object]) -> None:
    assert data(native(**fields)) == {"text": TEXT, "language": "en", "duration": 3.2}


def test_native_subtitles_stand_in_the_envelope_unless_a_file_is_asked_for() -> None:
    assert data(native(response_format="vtt"))["text"].startswith("WEBVTT")
    for accept in ("text/vtt", "application/json, Text/Plain;q=0.5"):
        renderer = native(accept, response_format="vtt")
        assert renderer.whole(HEARD, USAGE).startswith(b"WEBVTT")
        assert renderer.whole_type == "text/vtt; charset=utf-8"
    assert data(native("application/x-subrip", response_format="vtt"))
    assert native("text/plain", response_format="text").whole(HEARD, USAGE) == TEXT.encode()


def test_native_verbose_json_is_openais_in_the_envelope() -> None:
    found = data(native(response_format="verbose_json"))

    assert (found["task"], len(found["segments"])) == ("transcribe", 2)


@pytest.mark.parametrize("renderer", [openai(stream=True), native(stream=True)], ids=["openai", "native"])
def test_stream_has_a_delta_for_each_segment_and_then_the_text(
    renderer: OpenAITranscript | NativeTranscript,
) -> None:
    frames = renderer.items([INFO]) + renderer.items([FIRST, SECOND]) + renderer.end(USAGE)

    assert chunks(frames) == [
        {"type": "transcript.text.delta", "delta": "Hello there."},
        {"type": "transcript.text.delta", "delta": " Goodbye."},
        {"type": "transcript.text.done", "text": TEXT, "usage": DURATION},
    ]


def test_stream_of_silence_is_only_its_end() -> None:
    renderer = openai(stream=True)

    assert renderer.items([INFO]) == b""
    assert chunks(renderer.end(USAGE))[0]["text"] == ""


def test_failure_has_the_shape_of_its_dialect() -> None:
    error = ServiceError(ErrorCode.BACKEND_ERROR, "gone")

    assert b'"error":' in openai(stream=True).failure(error)
    assert native(stream=True).failure(error) == (
        b'event: error\ndata: {"code":"BACKEND_ERROR","message":"gone"}\n\n'
    )
