"""Batches of a real server with the models that come with Hearth: every endpoint once, kinds and dialects mixed."""

import base64
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import ROOT, RunningServer

pytestmark = pytest.mark.engines

AUDIO = ROOT / "tests/data/audio/two_sentences.ogg"
ENDED = {"completed", "failed", "expired", "cancelled"}
TIMEOUT_S = 600.0
HI = [{"role": "user", "content": "What is the capital of France?"}]
DOCUMENTS = ["A cat sleeps on the sofa.", "Paris is the capital of France."]
Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def sound_id(http: httpx.Client) -> str:
    answer = http.post(
        "/v1/files", files={"file": ("sound.ogg", AUDIO.read_bytes())}, data={"purpose": "user_data"}
    )
    return str(answer.raise_for_status().json()["data"]["id"])


def line(custom_id: str, url: str, kind: str, **body: Any) -> dict[str, Any]:
    """A line for the starter model of `kind`."""
    model = {"model": f"starter/{kind}"}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": model | body}


def lines(sound_id: str) -> list[dict[str, Any]]:
    """Every native endpoint, then every one of OpenAI's, and lines that must fail for themselves."""
    inline = "data:audio/ogg;base64," + base64.b64encode(AUDIO.read_bytes()).decode()
    native, oai = "/v1/inference", "/oai/v1"
    rank = {"query": "capital of France", "documents": DOCUMENTS}
    draw: dict[str, Any] = {"prompt": "a red circle on a white background", "seed": 1}
    return [
        line("chat", f"{native}/chat", "chat", messages=HI, max_tokens=8),
        line("generate", f"{native}/generate", "chat", prompt="Paris is", max_tokens=4),
        line("embed", f"{native}/embed", "embed", input=DOCUMENTS),
        line("rerank", f"{native}/rerank", "rerank", **rank),
        line("image", f"{native}/images/generate", "image", **draw),
        line("transcribe", f"{native}/audio/transcribe", "transcribe", file=inline),
        line("synthesize", f"{native}/audio/synthesize", "speech", input="Hello there."),
        line("oai chat", f"{oai}/chat/completions", "chat", messages=HI, max_tokens=8),
        line("oai completion", "/v1/completions", "chat", prompt="Paris is", max_tokens=4),
        line("oai embeddings", "/v1/embeddings", "embed", input=DOCUMENTS, encoding_format="base64"),
        line("oai rerank", "/v1/rerank", "rerank", **rank),
        line("oai images", f"{oai}/images/generations", "image", response_format="b64_json", **draw),
        line("oai srt", f"{oai}/audio/transcriptions", "transcribe", file=sound_id, response_format="srt"),
        line("oai json", "/v1/audio/transcriptions", "transcribe", file=f"scaigrid://file/{sound_id}"),
        line("oai speech", f"{oai}/audio/speech", "speech", input="Hello.", response_format="wav"),
        line("bad native", f"{native}/chat", "chat", messages=[]),
        line("bad oai", f"{oai}/chat/completions", "chat", messages=HI, stream=True),
        line("oai translate", "/v1/audio/translations", "transcribe", file=sound_id),
        line("no model", f"{native}/embed", "nothing", input="a"),
        line("no file", f"{native}/audio/transcribe", "transcribe", file="file_" + "0" * 24),
    ]


@pytest.fixture(scope="module")
def batch(http: httpx.Client, sound_id: str) -> dict[str, Any]:
    """One batch of all lines, ended."""
    content = "\n".join(map(json.dumps, lines(sound_id))).encode()
    body = {"input_file_base64": base64.b64encode(content).decode()}
    answer = http.post("/v1/inference/batch", json=body)
    return ended(http, str(answer.raise_for_status().json()["data"]["id"]))


def ended(http: httpx.Client, batch_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        found: dict[str, Any] = http.get(f"/v1/inference/batch/{batch_id}").raise_for_status().json()["data"]
        if found["status"] in ENDED:
            return found
        time.sleep(0.5)
    raise AssertionError(f"the batch did not end: {found}")


def read(http: httpx.Client, file_id: str) -> Answers:
    text = http.get(f"/v1/files/{file_id}/content").raise_for_status().text
    return {answer["custom_id"]: answer for answer in map(json.loads, text.splitlines())}


@pytest.fixture(scope="module")
def good(http: httpx.Client, batch: dict[str, Any]) -> Answers:
    return read(http, batch["output_file_id"])


@pytest.fixture(scope="module")
def bad(http: httpx.Client, batch: dict[str, Any]) -> Answers:
    return read(http, batch["error_file_id"])


def data(answers: Answers, custom_id: str) -> Any:
    """What a native line was answered, out of its envelope."""
    response = answers[custom_id]["response"]
    assert response["status_code"] == 200
    assert response["body"]["meta"]["request_id"] == response["request_id"]
    return response["body"]["data"]


def body(answers: Answers, custom_id: str) -> Any:
    """What a line of OpenAI's was answered."""
    response = answers[custom_id]["response"]
    assert response["status_code"] == 200
    return response["body"]


def test_every_line_has_one_answer(batch: dict[str, Any], good: Answers, bad: Answers, sound_id: str) -> None:
    wanted = [given["custom_id"] for given in lines(sound_id)]

    assert batch["status"] == "completed"
    assert batch["request_counts"]["total"] == len(wanted)
    assert [*good, *bad] == wanted
    assert all(answer["attempts"] == 1 and answer["error"] is None for answer in good.values())
    assert good["chat"]["id"].startswith("batch_req_" + batch["id"].removeprefix("batch_") + "_")


def test_text(good: Answers) -> None:
    for told in (data(good, "chat"), body(good, "oai chat")):
        assert told["object"] == "chat.completion"
        assert told["choices"][0]["message"]["content"]
        assert told["usage"]["completion_tokens"] <= 8
    for told in (data(good, "generate"), body(good, "oai completion")):
        assert told["object"] == "text_completion"
        assert told["choices"][0]["text"]


def test_vectors_and_ranks(good: Answers) -> None:
    floats = [entry["embedding"] for entry in data(good, "embed")["data"]]
    packed = [base64.b64decode(entry["embedding"]) for entry in body(good, "oai embeddings")["data"]]

    assert [
        list(struct.unpack(f"<{len(vector)}f", raw)) for vector, raw in zip(floats, packed, strict=True)
    ] == [pytest.approx(vector, abs=1e-4) for vector in floats]
    for told in (data(good, "rerank"), body(good, "oai rerank")):
        assert [result["index"] for result in told["results"]] == [1, 0]


def test_pictures(http: httpx.Client, good: Answers) -> None:
    (linked,) = data(good, "image")["data"]
    (held,) = body(good, "oai images")["data"]

    shown = httpx.get(linked["url"], trust_env=False).raise_for_status()

    assert shown.content.startswith(b"\x89PNG")
    assert base64.b64decode(held["b64_json"]).startswith(b"\x89PNG")


def test_heard_sound(http: httpx.Client, good: Answers, sound_id: str) -> None:
    """The stored file is still there; the text is that of the route."""
    with AUDIO.open("rb") as file:
        route = http.post(
            "/v1/inference/audio/transcribe", files={"file": file}, data={"model": "starter/transcribe"}
        )

    assert data(good, "transcribe")["text"] == route.raise_for_status().json()["data"]["text"]
    assert body(good, "oai srt").startswith("1\n00:00:")
    assert body(good, "oai json")["text"] == data(good, "transcribe")["text"]
    assert http.get(f"/v1/files/{sound_id}/content").content == AUDIO.read_bytes()


def test_spoken_sound(http: httpx.Client, server: RunningServer, good: Answers) -> None:
    """The links work on both surfaces, and only for the key's owner."""
    mp3, wav = data(good, "synthesize"), body(good, "oai speech")

    for told, path, kind in ((mp3, "/v1/files", "audio/mpeg"), (wav, "/oai/v1/files", "audio/wav")):
        assert told["file_url"] == f"{server.url}{path}/{told['file_id']}/content"
        sound = http.get(told["file_url"]).raise_for_status()
        assert (told["content_type"], told["bytes"]) == (kind, len(sound.content))
        assert told["seconds"] > 0.2
    assert sound.content.startswith(b"RIFF")
    with server.client(server.make_key(["models:use"])) as other:
        assert other.get(mp3["file_url"]).status_code == 404


def test_lines_fail_for_themselves(bad: Answers) -> None:
    told = {custom_id: answer["response"] for custom_id, answer in bad.items()}

    assert told["bad native"]["status_code"] == 422
    assert told["bad native"]["body"]["error"]["details"][0]["field"] == "messages"
    assert told["bad oai"]["status_code"] == 400
    assert told["bad oai"]["body"]["error"]["param"] == "stream"
    assert told["oai translate"]["body"]["error"]["param"] == "model", "the starter model does not translate"
    assert (told["no model"]["status_code"], told["no file"]["status_code"]) == (404, 422)
    assert told["no file"]["body"]["error"]["details"][0]["field"] == "file"


def test_input_with_problems_runs_nothing(http: httpx.Client) -> None:
    wrong = [line("a", "/v1/inference/chat", "chat", messages=HI), {"custom_id": "a"}, {"custom_id": "b"}]
    content = "\n".join(map(json.dumps, wrong)).encode() + b"\n\n{\n"
    answer = http.post("/v1/inference/batch", json={"input_file_base64": base64.b64encode(content).decode()})

    found = ended(http, answer.raise_for_status().json()["data"]["id"])

    assert found["status"] == "failed"
    assert found["output_file_id"] is None


def test_openai_sdk_runs_a_batch(server: RunningServer) -> None:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    made = [line(str(number), "/v1/embeddings", "embed", input=f"text {number}") for number in range(20)]
    with openai.OpenAI(
        base_url=f"{server.url}/oai/v1", api_key=server.key, http_client=http_client
    ) as client:
        content = "\n".join(map(json.dumps, made)).encode()
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
        )
        deadline = time.monotonic() + TIMEOUT_S
        while batch.status not in ENDED and time.monotonic() < deadline:
            time.sleep(0.5)
            batch = client.batches.retrieve(batch.id)
        text = client.files.content(batch.output_file_id or "").text

    answers = [json.loads(told) for told in text.splitlines()]
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (20, 0)
    assert [answer["custom_id"] for answer in answers] == [str(number) for number in range(20)]
    assert all(answer["response"]["body"]["object"] == "list" for answer in answers)
