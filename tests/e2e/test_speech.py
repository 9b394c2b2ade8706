"""Speech from a real server on a tiny real model: the OpenAI client, plain HTTP, wrong input."""

import base64
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import ROOT, RunningServer, start
from tests.engines.conftest import engines_python
from tests.engines.coqui_models import make_model, read_sounds

pytestmark = pytest.mark.engines

MODEL = "test/speech"
NATIVE, OPENAI_PATH = "/v1/inference/audio/synthesize", "/oai/v1/audio/speech"
TEXT = " ".join(f"This is sentence number {word}." for word in ("one", "two", "three", "four", "five", "six"))
GOOD: dict[str, Any] = {"model": MODEL, "input": "Hello there.", "voice": "anna"}
BACKEND = """\
engine: coqui_speech
modality: audio
frontends: [test/speech]
weights: weights
licence: none
capabilities: {synthesize: true}
device: cpu
options:
  omp_num_threads: 1
  voices: {anna: {speaker: p1, language: en, display_name: Anna}, ben: {speaker: p2, language: en}}
  voice_aliases: {alloy: ben}
"""
CHAT_BACKEND = """\
engine: tests.fakes.fake_engine
modality: chat
frontends: [fake/chat]
weights: weights
licence: none
context_window: 4096
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the model of two voices, and a chat model that no speech can come from."""
    folder = tmp_path_factory.mktemp("speech")
    models = folder / "models"
    make_model("vits", models / "weights")
    (models / "speech.yaml").write_text(BACKEND)
    (models / "chat.yaml").write_text(CHAT_BACKEND)
    settings = {"models_dir": str(models), "engines_python": engines_python()}
    running = start(folder / "data", folder / "server.log", **settings)
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with OpenAI(
        base_url=f"{server.url}/oai/v1", api_key=server.key, max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        assert client.post(NATIVE, json=GOOD).status_code == 200


@pytest.mark.parametrize("audio_format", ["mp3", "wav", "opus", "aac", "flac", "pcm"])
def test_sdk_streams_a_file_of_each_format(client: OpenAI, tmp_path: Path, audio_format: Any) -> None:
    file = tmp_path / f"speech.{audio_format}"

    with client.audio.speech.with_streaming_response.create(
        model=MODEL, voice="alloy", input=TEXT, response_format=audio_format
    ) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.headers["x-scaigrid-model"] == MODEL
        response.stream_to_file(file)

    (sound,) = read_sounds([file])
    assert sound.seconds > 3
    assert sound.channels == 1


def test_sdk_reads_a_whole_answer(client: OpenAI, tmp_path: Path) -> None:
    answer = client.audio.speech.create(
        model=MODEL, voice="anna", input="Hello there.", response_format="wav"
    )

    (tmp_path / "speech.wav").write_bytes(answer.content)
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert len(file.readframes(file.getnframes())) > 8000


def test_sound_arrives_in_pieces(http: httpx.Client) -> None:
    with http.stream("POST", NATIVE, json=GOOD | {"input": TEXT, "response_format": "wav"}) as answer:
        sizes = [len(piece) for piece in answer.iter_raw()]

    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["x-scaigrid-backend"] == "be_speech"
    assert answer.headers["x-scaigrid-request-id"].startswith("req_")
    assert len(sizes) >= 3
    assert max(sizes) < sum(sizes) / 2


def test_events_hold_the_same_file(http: httpx.Client) -> None:
    body = GOOD | {"response_format": "wav", "seed": 5}
    file = http.post(OPENAI_PATH, json=body).content

    lines = http.post(OPENAI_PATH, json=body | {"stream_format": "sse"}).text.split("\n\n")

    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == file
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["seconds"] == pytest.approx((len(file) - 44) / 2 / 16000, abs=0.001)


def test_voices_are_listed(http: httpx.Client) -> None:
    items = http.get("/v1/audio/voices", params={"model": MODEL}).json()["data"]["items"]

    assert [(item["voice_id"], item["display_name"]) for item in items] == [("anna", "Anna"), ("ben", "ben")]


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "input_missing": ({"input": None}, "input"),
    "input_empty": ({"input": ""}, "input"),
    "input_list": ({"input": ["a"]}, "input"),
    "input_too_long": ({"input": "a" * 4097}, "input"),
    "input_without_words": ({"input": "... \U0001f600 !"}, "input"),
    "input_of_controls": ({"input": "\x00\x01\x1b"}, "input"),
    "input_in_another_script": ({"input": "\u6f22\u5b57"}, "input"),
    "voice_unknown": ({"voice": "nobody"}, "voice"),
    "voice_number": ({"voice": 5}, "voice"),
    "speed_zero": ({"speed": 0}, "speed"),
    "speed_five": ({"speed": 5}, "speed"),
    "format_unknown": ({"response_format": "wma"}, "response_format"),
    "language_unknown": ({"language": "de"}, "language"),
    "instructions": ({"instructions": "Whisper."}, "instructions"),
    "stream_format_unknown": ({"stream_format": "ws"}, "stream_format"),
    "chat_model": ({"model": "fake/chat"}, "model"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_field_is_named_in_both_dialects(http: httpx.Client, case: str) -> None:
    change, field = CASES[case]

    native = http.post(NATIVE, json=GOOD | change)
    openai_answer = http.post(OPENAI_PATH, json=GOOD | change)

    assert (native.status_code, native.json()["error"]["details"][0]["field"]) == (422, field)
    assert (openai_answer.status_code, openai_answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model": "test/speech", "input": "a", "speed": NaN}',
        b'{"model": "test/speech", "input": "\\ud800"}',
    ],
)
def test_wrong_json_is_refused(http: httpx.Client, raw: bytes) -> None:
    answer = http.post(NATIVE, content=raw, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "body")


def test_speech_model_does_not_chat(http: httpx.Client) -> None:
    answer = http.post(
        "/v1/inference/chat", json={"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    )

    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "model")


def test_leaving_in_the_middle_frees_the_worker(server: RunningServer, http: httpx.Client) -> None:
    with http.stream("POST", NATIVE, json=GOOD | {"input": TEXT * 10, "response_format": "wav"}) as answer:
        next(answer.iter_raw())

    with server.client(timeout_s=30) as other:
        assert other.post(NATIVE, json=GOOD).status_code == 200


def test_the_example_speaks_what_a_chat_model_says(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "answer.mp3"
    command = [sys.executable, str(ROOT / "examples/spoken_answer.py"), "One two. Three four!"]
    command += ["--out", str(file), "--url", server.url, "--chat-model", "fake/chat", "--speech-model", MODEL]
    environment = os.environ | {"HEARTH_API_KEY": server.key, "NO_PROXY": "127.0.0.1"}

    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "Answer: " in result.stdout
    (sound,) = read_sounds([file])
    assert sound.seconds > 0.5
