"""Speech to text end to end: the shipped model, real files, the OpenAI client, broken files, clients that leave."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose

from tests.e2e.conftest import ROOT, RunningServer, start
from tests.engines import sounds
from tests.engines.conftest import engines_python

pytestmark = pytest.mark.engines
MODEL = "starter/transcribe"
NATIVE = "/v1/inference/audio/transcribe"
OPENAI = "/oai/v1/audio/transcriptions"
CAMERA = sounds.camera("flac")
GONE_S = 20.0
YAML = """\
engine: whisper_transcribe
modality: audio
frontends: [starter/transcribe]
weights: {weights}
licence: Apache-2.0
capabilities: {{transcribe: true}}
options: {{max_audio_s: 900, omp_num_threads: 1}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    weights = ROOT / "model_configs" / MODEL
    if not weights.is_dir():
        pytest.skip(f"no {MODEL}")
    folder = tmp_path_factory.mktemp("transcribe")
    (folder / "models").mkdir()
    (folder / "models/hears.yaml").write_text(YAML.format(weights=weights))
    settings = {"models_dir": str(folder / "models"), "engines_python": engines_python()}
    running = start(folder / "data", folder / "server.log", **settings)
    yield running
    assert running.stop() == 0


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
    assert leftovers(server) == []


@pytest.fixture
def sdk(server: RunningServer) -> Iterator[OpenAI]:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    with OpenAI(
        base_url=f"{server.url}/oai/v1", api_key=server.key, max_retries=0, http_client=http_client
    ) as client:
        yield client


def leftovers(server: RunningServer) -> list[str]:
    """Uploads that are still there when requests have had time to end; the answer's last byte comes first."""
    deadline = time.monotonic() + GONE_S
    while (found := os.listdir(server.data_dir / "uploads")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def send(client: httpx.Client, path: str, content: bytes, **form: object) -> httpx.Response:
    return client.post(path, data={"model": MODEL} | form, files={"file": ("sound", content)})


def is_right(text: str, spoken: str = sounds.SPOKEN) -> bool:
    """The model is small: most words must be there."""
    words = spoken.split()
    return sum(word in text.split() for word in words) / len(words) > 0.7


@pytest.mark.parametrize("form", sounds.FORMATS)
def test_every_format_is_heard(http: httpx.Client, form: str) -> None:
    answer = send(http, NATIVE, sounds.camera(form).read_bytes())

    data = answer.json()["data"]
    assert answer.status_code == 200
    assert is_right(data["text"])
    assert data["language"] == "en"
    assert data["duration"] == pytest.approx(1.71, abs=0.12)


def test_sdk_reads_text_and_usage(sdk: OpenAI) -> None:
    heard = sdk.audio.transcriptions.create(model=MODEL, file=CAMERA)

    assert is_right(heard.text)
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    assert heard.usage.seconds == pytest.approx(1.7, abs=0.1)


def test_sdk_reads_verbose_json_with_words(sdk: OpenAI) -> None:
    heard = sdk.audio.transcriptions.create(
        model=MODEL,
        file=CAMERA,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        temperature=0,
        prompt="lights and cameras",
    )

    assert isinstance(heard, TranscriptionVerbose)
    assert heard.duration == pytest.approx(1.7, abs=0.1)
    assert heard.segments is not None
    assert heard.words is not None
    assert "".join(segment.text for segment in heard.segments).strip() == heard.text
    assert [word.word for word in heard.words] == heard.text.split()
    assert all(0 <= word.start <= word.end < 2.5 for word in heard.words)


@pytest.mark.parametrize(
    ("form", "beginning"), [("text", ""), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")]
)
def test_sdk_reads_files(sdk: OpenAI, form: str, beginning: str) -> None:
    heard = sdk.audio.transcriptions.create(model=MODEL, file=CAMERA, response_format=form)  # type: ignore[call-overload]  # of a variable

    assert isinstance(heard, str)
    assert heard.startswith(beginning)
    assert "turn on the" in heard


def test_sdk_reads_a_stream(sdk: OpenAI) -> None:
    events = list(sdk.audio.transcriptions.create(model=MODEL, file=CAMERA, stream=True))

    *deltas, done = events
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert is_right(done.text)
    assert "".join(e.delta for e in deltas if isinstance(e, TranscriptionTextDeltaEvent)) == done.text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # what this SDK says of translations
def test_sdk_understands_refusals(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.audio.transcriptions.create(model=MODEL, file=("sound.wav", b"no sound"))
    assert (caught.value.param, caught.value.code) == ("file", "VALIDATION_ERROR")

    with pytest.raises(openai.BadRequestError, match="does not translate"):
        sdk.audio.translations.create(model=MODEL, file=CAMERA)

    with pytest.raises(openai.BadRequestError, match="include"):
        sdk.audio.transcriptions.create(model=MODEL, file=CAMERA, include=["logprobs"])


def test_native_gives_a_subtitle_file_to_who_accepts_one(http: httpx.Client) -> None:
    form = {"model": MODEL, "response_format": "vtt"}
    raw = http.post(NATIVE, data=form, files={"file": CAMERA.read_bytes()}, headers={"Accept": "text/vtt"})
    wrapped = http.post(NATIVE, data=form, files={"file": CAMERA.read_bytes()})

    assert raw.headers["content-type"] == "text/vtt; charset=utf-8"
    assert raw.text == wrapped.json()["data"]["text"]


def test_long_file_streams_while_it_is_heard(http: httpx.Client) -> None:
    content = sounds.repeated(sounds.camera("wav"), seconds=150)

    form = {"model": MODEL, "stream": "true"}
    with http.stream("POST", NATIVE, data=form, files={"file": content}) as answer:
        frames = [line for line in answer.iter_lines() if line.startswith("data: ")]

    kinds = [json.loads(frame[6:])["type"] for frame in frames[:-1]]
    assert kinds.count("transcript.text.delta") >= 3
    assert kinds[-1] == "transcript.text.done"
    assert frames[-1] == "data: [DONE]"


@pytest.mark.parametrize("name", sounds.bad_files())
def test_bad_file_is_refused_and_harms_nobody(server: RunningServer, http: httpx.Client, name: str) -> None:
    content, words = sounds.bad_files()[name]
    before = server.backend("be_hears")

    native = send(http, NATIVE, content)
    bare = send(http, OPENAI, content)

    assert (native.status_code, bare.status_code) == (422, 400)
    assert native.json()["error"]["details"][0]["field"] == bare.json()["error"]["param"] == "file"
    assert words in bare.json()["error"]["message"]
    after = server.backend("be_hears")
    assert [after[key] for key in ("pid", "restarts")] == [before[key] for key in ("pid", "restarts")]


@pytest.mark.parametrize("name", sounds.odd_but_good_files())
def test_odd_file_is_heard(http: httpx.Client, name: str) -> None:
    answer = send(http, NATIVE, sounds.odd_but_good_files()[name])

    assert answer.status_code == 200


def test_eight_hours_of_silence_are_refused_soon(http: httpx.Client) -> None:
    begun_at = time.monotonic()

    answer = send(http, NATIVE, sounds.silence(8 * 3600))

    assert answer.status_code == 422
    assert "too long" in answer.json()["error"]["message"]
    assert time.monotonic() - begun_at < 30


def test_too_large_a_file_is_refused(http: httpx.Client) -> None:
    answer = send(http, OPENAI, bytes(26 * 1024 * 1024))

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_large_body_is_refused_before_it_is_sent(server: RunningServer) -> None:
    head = (
        f"POST {OPENAI} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999999999\r\n\r\n"
    )
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())

        assert b" 413 " in connection.recv(1000)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"language": "xx"}, "language"),
        ({"temperature": "1.5"}, "temperature"),
        ({"response_format": "xml"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"stream": "true", "response_format": "srt"}, "response_format"),
        ({"chunking_strategy[type]": "server_vad"}, "chunking_strategy"),
    ],
)
def test_wrong_field_is_named(http: httpx.Client, form: dict[str, str], field: str) -> None:
    answer = send(http, OPENAI, CAMERA.read_bytes(), **form)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_requests_at_once_get_the_same_answers(server: RunningServer) -> None:
    async def ask_all() -> list[str]:
        headers = {"Authorization": f"Bearer {server.key}"}
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, timeout=120, trust_env=False
        ) as client:
            content = CAMERA.read_bytes()
            posts = [client.post(OPENAI, data={"model": MODEL}, files={"file": content}) for _ in range(12)]
            return [answer.json()["text"] for answer in await asyncio.gather(*posts)]

    texts = asyncio.run(ask_all())

    assert len(set(texts)) == 1
    assert is_right(texts[0])


@pytest.mark.parametrize("stream", ["true", "false"])
def test_client_that_leaves_stops_the_work_and_leaves_no_file(server: RunningServer, stream: str) -> None:
    content = sounds.repeated(sounds.camera("wav"), seconds=800)

    with server.client(timeout_s=3) as client:
        form = {"model": MODEL, "stream": stream}
        with (
            contextlib.suppress(httpx.TimeoutException),
            client.stream("POST", NATIVE, data=form, files={"file": content}) as answer,
        ):
            next(answer.iter_lines())

    assert leftovers(server) == []
    deadline = time.monotonic() + GONE_S
    while server.backend("be_hears")["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.backend("be_hears")["in_flight"] == 0


def test_dead_worker_leaves_no_file_and_comes_back(server: RunningServer) -> None:
    content = sounds.repeated(sounds.camera("wav"), seconds=800)
    with server.client() as client:
        send(client, NATIVE, CAMERA.read_bytes()).raise_for_status()
        form = {"model": MODEL, "stream": "true"}
        with client.stream("POST", NATIVE, data=form, files={"file": content}) as answer:
            lines = answer.iter_lines()
            next(lines)
            os.kill(int(str(server.backend("be_hears")["pid"])), 9)
            rest = "\n".join(lines)

        assert "event: error" in rest
        assert rest.rstrip().endswith("data: [DONE]")
        assert leftovers(server) == []
        assert send(client, NATIVE, CAMERA.read_bytes()).status_code == 200


def test_subtitle_maker_writes_a_file(server: RunningServer, tmp_path: Path) -> None:
    film = tmp_path / "film.m4a"
    film.write_bytes(sounds.camera("m4a").read_bytes())
    command = [sys.executable, str(ROOT / "examples/subtitle_maker.py"), str(film), "--url", server.url]

    subprocess.run(command, env=os.environ | {"HEARTH_API_KEY": server.key}, check=True, timeout=120)

    assert (tmp_path / "film.srt").read_text().startswith("1\n00:00:0")
