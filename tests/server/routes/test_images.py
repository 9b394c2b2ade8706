"""Image routes of both dialects, media links and running requests, over fakes."""

import base64
import json
from typing import Any

import httpx
import pytest

from engines.contract.errors import ErrorCode
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.types import Modality
from server.caller import Permission
from server.errors import ServiceError
from tests.fakes.surface import REQUEST_ID, Surface

NATIVE = "/v1/inference/images/generate"
OPENAI = "/oai/v1/images/generations"
ALIAS = "/v1/images/generations"
BODY: dict[str, Any] = {"model": "a/one", "prompt": "a red circle"}
PNG = b"not really a picture, but of some length"
EVERYWHERE = pytest.mark.parametrize("path", [NATIVE, OPENAI, ALIAS])


@pytest.fixture
def surface() -> Surface:
    made = Surface()
    made.gateway.batches = [[ImageProgress(1, 2)], [Picture(0, PNG, 7, 64, 64)]]
    return made


async def link(client: httpx.AsyncClient) -> str:
    answer = await client.post(NATIVE, json=BODY)
    return str(answer.json()["data"]["data"][0]["url"])


async def test_native_answer_has_a_link_to_the_file(surface: Surface, client: httpx.AsyncClient) -> None:
    answer = await client.post(NATIVE, json=BODY)

    body = answer.json()
    assert (body["status"], body["data"]["model"], body["meta"]) == (
        "ok",
        "a/one",
        {"request_id": REQUEST_ID},
    )
    url = body["data"]["data"][0]["url"]
    assert url.startswith("http://localhost/v1/media/")
    assert (await client.get(url)).content == PNG
    assert surface.gateway.asked == [("a/one", ImageRequest("a red circle"))]


@pytest.mark.parametrize("path", [OPENAI, ALIAS])
async def test_openai_answer_has_no_envelope(client: httpx.AsyncClient, path: str) -> None:
    body = (await client.post(path, json=BODY)).json()

    assert body["data"][0]["url"].startswith("http://localhost/v1/media/")
    assert body["data"][0]["seed"] == 7


@EVERYWHERE
async def test_base64_is_stored_nowhere(surface: Surface, client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=BODY | {"response_format": "b64_json"})

    body = answer.json()
    data = body["data"]["data"] if path == NATIVE else body["data"]
    assert data == [{"b64_json": base64.b64encode(PNG).decode(), "seed": 7}]
    assert surface.media._storage.files == {}  # type: ignore[attr-defined]  # the fake's


async def test_native_stream_tells_progress_and_links(client: httpx.AsyncClient) -> None:
    answer = await client.post(NATIVE, json=BODY | {"stream": True})

    frames = answer.text.split("\n\n")
    assert frames[0] == 'event: image.progress\ndata: {"type":"image.progress","step":1,"num_steps":2}'
    completed = json.loads(frames[1].partition("data: ")[2])
    assert (await client.get(completed["url"])).content == PNG
    assert frames[2:] == ["data: [DONE]", ""]


async def test_openai_stream_has_the_file(client: httpx.AsyncClient) -> None:
    answer = await client.post(OPENAI, json=BODY | {"stream": True})

    frames = answer.text.split("\n\n")
    completed = json.loads(frames[1].partition("data: ")[2])
    assert completed["type"] == "image_generation.completed"
    assert base64.b64decode(completed["b64_json"]) == PNG
    assert frames[2:] == ["data: [DONE]", ""]


@EVERYWHERE
async def test_failure_to_store_is_an_error_and_no_answer(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    surface.media._storage.is_full = True  # type: ignore[attr-defined]  # the fake's

    answer = await client.post(path, json=BODY)

    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the server could not store the file"


@EVERYWHERE
async def test_wrong_body_is_refused_in_the_dialect(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=BODY | {"size": "huge"})

    error = answer.json()["error"]
    assert answer.status_code == (422 if path == NATIVE else 400)
    assert (error["details"][0]["field"] if path == NATIVE else error["param"]) == "size"


@EVERYWHERE
async def test_refusal_of_the_engine_names_its_field(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    surface.gateway.refusal = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "The queue is full")

    answer = await client.post(path, json=BODY)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


@EVERYWHERE
async def test_key_without_models_use_is_refused(
    surface: Surface, client: httpx.AsyncClient, path: str
) -> None:
    surface.permissions = frozenset({Permission.MODELS_LIST})

    assert (await client.post(path, json=BODY)).status_code == 403


@pytest.mark.parametrize("path", ["/oai/v1/images/edits", "/oai/v1/images/variations", "/v1/images/edits"])
async def test_other_image_routes_of_openai_do_not_exist(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path, json=BODY)).status_code == 404


async def test_media_is_inert_private_and_named(client: httpx.AsyncClient) -> None:
    answer = await client.get(await link(client))

    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, max-age=300"
    assert answer.headers["content-disposition"].startswith("inline; filename=")
    assert answer.headers["content-length"] == str(len(PNG))
    assert answer.headers["accept-ranges"] == "bytes"


async def test_head_of_media_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head(await link(client))

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(PNG))


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=4-9", 206, PNG[4:10]),
        ("bytes=-3", 206, PNG[-3:]),
        ("bytes=0-1,3-4", 200, PNG),
        ("lines=1-2", 200, PNG),
    ],
)
async def test_one_range_is_served(
    client: httpx.AsyncClient, wanted: str, status: int, content: bytes
) -> None:
    answer = await client.get(await link(client), headers={"Range": wanted})

    assert (answer.status_code, answer.content) == (status, content)
    assert ("content-range" in answer.headers) == (status == 206)


async def test_range_behind_the_end_is_refused_with_the_size(client: httpx.AsyncClient) -> None:
    answer = await client.get(await link(client), headers={"Range": "bytes=1000-"})

    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(PNG)}")


async def test_range_of_another_file_is_the_whole(client: httpx.AsyncClient) -> None:
    headers = {"Range": "bytes=4-9", "If-Range": '"another"'}

    assert (await client.get(await link(client), headers=headers)).content == PNG


async def test_link_expires(surface: Surface, client: httpx.AsyncClient) -> None:
    url = await link(client)
    surface.clock.now += 3600

    answer = await client.get(url)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_link_with_a_changed_character_leads_nowhere(client: httpx.AsyncClient) -> None:
    url = await link(client)

    for place in (-1, -50, -98):
        other = url[:place] + ("A" if url[place] != "A" else "B") + url[len(url) + place + 1 :]
        assert (await client.get(other)).status_code == 404


async def test_running_requests_are_listed_and_found(surface: Surface, client: httpx.AsyncClient) -> None:
    running = surface.gateway.running.begin("mine", "key_1", "a/one", Modality.IMAGE)
    running.progress = ImageProgress(2, 15)
    surface.gateway.running.begin("foreign", "key_2", "a/one", Modality.IMAGE)

    listed = (await client.get("/v1/inference/requests")).json()["data"]["items"]
    found = await client.get("/v1/inference/requests/mine")
    foreign = await client.get("/v1/inference/requests/foreign")

    assert [item["id"] for item in listed] == ["mine"]
    assert found.json()["data"]["progress"] == {"step": 2, "num_steps": 15}
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (404, "NOT_FOUND")
