"""The transcription routes of both dialects over a fake gateway."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.contract.errors import ErrorCode
from engines.contract.transcribe import AudioFile, TranscribeRequest
from server.caller import Permission
from server.errors import ServiceError
from tests.fakes.heard import FIRST, INFO, SECOND, TEXT
from tests.fakes.surface import REQUEST_ID, Surface

NATIVE = "/v1/inference/audio/transcribe"
OPENAI = "/oai/v1/audio/transcriptions"
FORM: dict[str, Any] = {"model": "a/one"}
FILES = {"file": ("../evil.wav", b"sound")}
ALL = pytest.mark.parametrize(
    "path",
    [NATIVE, OPENAI, "/v1/audio/transcriptions", "/oai/v1/audio/translations", "/v1/audio/translations"],
)


@pytest.fixture(autouse=True)
def heard(surface: Surface) -> None:
    surface.gateway.batches = [[INFO, FIRST], [SECOND]]


def asked(surface: Surface) -> TranscribeRequest:
    ((_, request),) = surface.gateway.asked
    assert isinstance(request, TranscribeRequest)
    return request


async def test_native_answers_in_the_envelope(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post(NATIVE, data=FORM, files=FILES)

    assert answer.json()["data"] == {"text": TEXT, "language": "en", "duration": 3.2}
    assert answer.json()["meta"] == {"request_id": REQUEST_ID}
    assert answer.headers["x-scaigrid-model"] == "a/one"
    assert asked(surface).audio.size_bytes == 5


async def test_openai_answers_bare(client: httpx.AsyncClient) -> None:
    answer = await client.post(OPENAI, data=FORM, files=FILES)

    assert answer.json() == {"text": TEXT, "usage": {"type": "duration", "seconds": 0.0}}


async def test_openai_subtitles_are_a_file(client: httpx.AsyncClient) -> None:
    answer = await client.post(OPENAI, data=FORM | {"response_format": "srt"}, files=FILES)

    assert answer.headers["content-type"] == "application/x-subrip; charset=utf-8"
    assert answer.text.startswith("1\n")


@pytest.mark.parametrize(
    ("path", "form", "task"),
    [
        (NATIVE, {}, "transcribe"),
        (NATIVE, {"task": "translate"}, "translate"),
        (OPENAI, {"task": "translate"}, "transcribe"),
        ("/oai/v1/audio/translations", {}, "translate"),
        ("/v1/audio/translations", {}, "translate"),
    ],
)
async def test_task_is_the_endpoints_or_a_native_field(
    surface: Surface, client: httpx.AsyncClient, path: str, form: dict[str, str], task: str
) -> None:
    await client.post(path, data=FORM | form, files=FILES)

    assert asked(surface).task == task


@ALL
async def test_stream_ends_with_done(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, data=FORM | {"stream": "true"}, files=FILES)

    *events, done, last = answer.text.split("\n\n")
    kinds = [json.loads(event.removeprefix("data: "))["type"] for event in events]
    assert kinds == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
    assert (done, last) == ("data: [DONE]", "")


@ALL
@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("refused", [False, True])
async def test_no_file_is_left(
    surface: Surface, client: httpx.AsyncClient, tmp_path: Path, path: str, stream: str, refused: bool
) -> None:
    if refused:
        surface.gateway.refusal = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "full")

    answer = await client.post(path, data=FORM | {"stream": stream}, files=FILES)

    assert answer.status_code == (429 if refused else 200)
    assert Path(asked(surface).audio.path).parent == tmp_path
    assert os.listdir(tmp_path) == []


@ALL
async def test_wrong_form_names_its_field_and_leaves_no_file(
    surface: Surface, client: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    answer = await client.post(path, data=FORM | {"temperature": "7"}, files=FILES)

    is_native = path == NATIVE
    error = answer.json()["error"]
    assert answer.status_code == (422 if is_native else 400)
    assert error["message"] == "temperature: must be at most 1"
    assert (error["details"][0]["field"] if is_native else error["param"]) == "temperature"
    assert surface.gateway.asked == []
    assert os.listdir(tmp_path) == []


@ALL
async def test_json_body_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=FORM)

    assert answer.status_code in (400, 422)
    assert "multipart/form-data" in answer.json()["error"]["message"]


@ALL
async def test_key_without_models_use_is_refused_before_the_body_is_read(
    surface: Surface, client: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    answer = await client.post(path, data=FORM, files=FILES)

    assert answer.status_code == 403


async def test_clients_name_of_the_file_goes_nowhere(surface: Surface, client: httpx.AsyncClient) -> None:
    await client.post(NATIVE, data=FORM, files=FILES)

    audio = asked(surface).audio
    assert isinstance(audio, AudioFile)
    assert "evil" not in audio.path
