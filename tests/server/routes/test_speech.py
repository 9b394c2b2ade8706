"""Speech in both dialects over a fake gateway, and the list of voices."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.types import Modality
from server.caller import Permission
from server.errors import ServiceError
from server.wire.speech_render import CONTENT_TYPES
from tests.fakes.surface import REQUEST_ID, Surface

BODY: dict[str, Any] = {"model": "a/one", "input": "Hello. Bye."}
NATIVE, OPENAI = "/v1/inference/audio/synthesize", "/oai/v1/audio/speech"
ROUTES = (NATIVE, OPENAI, "/v1/audio/speech")
BROKEN = ServiceError(ErrorCode.BACKEND_ERROR, "broke")


@pytest.fixture(autouse=True)
def two_chunks(surface: Surface) -> None:
    surface.gateway.batches = [[AudioChunk(b"one", 1.0)], [AudioChunk(b"two", 0.5), AudioChunk(b"!", 0.1)]]


def speaker(backend_id: str, *slugs: str, **options: Any) -> BackendSpec:
    return BackendSpec(
        id=backend_id,
        engine="coqui_speech",
        modality=Modality.AUDIO,
        frontends=tuple(Frontend(slug) for slug in slugs),
        weights="/nowhere",
        licence="none",
        capabilities=Capabilities(synthesize=True),
        options=options,
    )


@pytest.fixture
def voices(surface: Surface) -> None:
    """Three voices under four names of models, beside the surface's chat models."""
    told = {
        "zoe": {"speaker": "p1", "display_name": "Zoe", "language": "en"},
        "anna": {"reference": ["a.wav"], "language": "de"},
    }
    specs = [
        speaker("be_s", "s/two", "s/one", voices=told, default_voice="anna", voice_aliases={"alloy": "zoe"}),
        speaker("be_t", "t/one"),
    ]
    services = surface.app.state.services
    known = services.catalog.backends | {spec.id: spec for spec in specs}
    services.catalog = SimpleNamespace(backends=known)


@pytest.mark.parametrize("path", ROUTES)
async def test_answer_is_the_sound_itself(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=BODY)

    assert (answer.status_code, answer.content) == (200, b"onetwo!")
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-scaigrid-model"] == "a/one"
    assert answer.headers["x-scaigrid-backend"] == "be_fake"
    assert surface.gateway.asked == [("a/one", SpeechRequest("Hello. Bye."))]


@pytest.mark.parametrize("audio_format", CONTENT_TYPES)
async def test_content_type_fits_the_format(client: httpx.AsyncClient, audio_format: str) -> None:
    answer = await client.post(OPENAI, json=BODY | {"response_format": audio_format})

    assert answer.headers["content-type"] == dict(CONTENT_TYPES)[audio_format]  # type: ignore[index]  # a Literal


@pytest.mark.parametrize("path", ROUTES)
async def test_events_carry_the_file_and_end_with_done(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=BODY | {"stream_format": "sse"})

    frames = answer.text.split("\n\n")
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 3 + ["speech.audio.done"]
    assert sound == b"onetwo!"
    assert events[-1]["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "seconds": 0.0}
    assert frames[-2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize("path", ROUTES)
async def test_failure_before_the_first_sound_is_an_ordinary_error(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    surface.gateway.batches = [BROKEN]

    answer = await client.post(path, json=BODY)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "BACKEND_ERROR"


async def test_failure_in_the_middle_cuts_the_sound_off(surface: Surface, client: httpx.AsyncClient) -> None:
    """The response never says that it is complete: a server closes the connection then."""
    surface.gateway.batches = [[AudioChunk(b"one", 1.0)], BROKEN]
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": NATIVE,
        "raw_path": NATIVE.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await surface(scope, receive, send)

    assert sent[0]["status"] == 200
    assert [message.get("body") for message in sent[1:]] == [b"one"]
    assert sent[-1]["more_body"]


async def test_failure_in_the_middle_is_told_in_events(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.gateway.batches = [[AudioChunk(b"one", 1.0)], BROKEN]

    answer = await client.post(OPENAI, json=BODY | {"stream_format": "sse"})

    assert "event: error" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(("path", "status"), [(NATIVE, 422), (OPENAI, 400), ("/v1/audio/speech", 400)])
async def test_wrong_field_is_named(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.post(path, json=BODY | {"speed": 9})

    error = answer.json()["error"]
    assert answer.status_code == status
    assert (error["param"] if "param" in error else error["details"][0]["field"]) == "speed"


@pytest.mark.parametrize("path", ROUTES)
async def test_permission_is_needed(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    answer = await client.post(path, json=BODY)

    assert answer.status_code == 403
    assert surface.gateway.asked == []


@pytest.mark.usefixtures("voices")
async def test_voices_of_all_models_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/audio/voices")

    body = answer.json()
    found = [(item["model"], item["voice_id"], item["is_default"]) for item in body["data"]["items"]]
    assert body["meta"] == {"request_id": REQUEST_ID}
    assert found == [
        ("s/one", "anna", True),
        ("s/one", "zoe", False),
        ("s/two", "anna", True),
        ("s/two", "zoe", False),
        ("t/one", "default", True),
    ]
    assert body["data"]["items"][1] == {
        "voice_id": "zoe",
        "display_name": "Zoe",
        "model": "s/one",
        "language": "en",
        "is_default": False,
    }


@pytest.mark.usefixtures("voices")
async def test_voices_come_in_pages(client: httpx.AsyncClient) -> None:
    first = (await client.get("/v1/audio/voices", params={"limit": 3})).json()
    cursor = first["pagination"]["next_cursor"]
    rest = (await client.get("/v1/audio/voices", params={"limit": 3, "cursor": cursor})).json()

    assert [item["voice_id"] for item in first["data"]["items"]] == ["anna", "zoe", "anna"]
    assert [item["voice_id"] for item in rest["data"]["items"]] == ["zoe", "default"]
    assert rest["pagination"] == {"has_more": False, "next_cursor": None}


@pytest.mark.usefixtures("voices")
async def test_voices_are_filtered(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/audio/voices", params={"model": "s/one", "language": "de"})
    chat_model = await client.get("/v1/audio/voices", params={"model": "a/one"})

    assert [item["voice_id"] for item in answer.json()["data"]["items"]] == ["anna"]
    assert chat_model.json()["data"]["items"] == []


@pytest.mark.usefixtures("voices")
async def test_voices_of_other_models_are_not_seen(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.models = frozenset({"t/one"})

    listed = await client.get("/v1/audio/voices")
    asked = await client.get("/v1/audio/voices", params={"model": "s/one"})
    unknown = await client.get("/v1/audio/voices", params={"model": "no/such"})

    assert [item["model"] for item in listed.json()["data"]["items"]] == ["t/one"]
    assert (asked.status_code, asked.json()["error"]["code"]) == (403, "MODEL_ACCESS_DENIED")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "MODEL_NOT_FOUND")


async def test_voices_need_a_permission(surface: Surface, client: httpx.AsyncClient) -> None:
    surface.permissions = frozenset({Permission.MODELS_USE})

    answer = await client.get("/v1/audio/voices")

    assert (answer.status_code, answer.json()["status"]) == (403, "error")
