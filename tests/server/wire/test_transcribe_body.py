"""From a form to the contract, and what contradicts itself."""

from pathlib import Path

import pytest

from engines.contract.transcribe import AudioFile, TranscribeRequest
from server.errors import ServiceError
from server.files import FileWriter
from server.wire.transcribe_body import NativeTranscribeForm, TranscribeForm, parse


def upload() -> FileWriter:
    made = FileWriter(Path("/spool/x"), 100)
    made.size_bytes = 7
    return made


def form(**fields: object) -> TranscribeForm:
    return TranscribeForm.model_validate({"model": "m"} | fields)


def test_smallest_form_leaves_all_to_the_engine() -> None:
    assert parse(form(), upload(), "transcribe") == TranscribeRequest(AudioFile("/spool/x", 7))


def test_every_field_reaches_the_request() -> None:
    full = form(
        language="DE",
        prompt="Hallo",
        temperature="0.25",
        response_format="verbose_json",
        timestamp_granularities=["word"],
        chunking_strategy="auto",
    )

    assert parse(full, upload(), "translate") == TranscribeRequest(
        audio=AudioFile("/spool/x", 7),
        task="translate",
        language="de",
        prompt="Hallo",
        temperature=0.25,
        word_timestamps=True,
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"timestamp_granularities": ["segment"], "response_format": "json"}, "timestamp_granularities"),
        ({"stream": True, "response_format": "srt"}, "response_format"),
        ({"stream": True, "response_format": "verbose_json"}, "response_format"),
    ],
)
def test_contradictions_are_refused_by_field(fields: dict[str, object], field: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse(form(**fields), upload(), "transcribe")

    assert caught.value.details[0].field == field


def test_task_is_a_field_of_the_native_form_only() -> None:
    assert NativeTranscribeForm.model_validate({"model": "m", "task": "translate"}).task == "translate"
    assert "task" not in TranscribeForm.model_fields
