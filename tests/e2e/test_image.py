"""Pictures from a running server: both dialects, the official SDK, links, progress, cancelling, a worker's death."""

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import ROOT, RunningServer, start
from tests.engines.images import make_pipeline
from tests.png import decode, largest_difference

pytestmark = pytest.mark.engines

MODEL = "tiny/image"
GENERATE = "/v1/inference/images/generate"
BODY: dict[str, Any] = {"model": MODEL, "prompt": "a red circle", "seed": 7}
CONFIG = """\
engine: diffusers_image
modality: image
frontends: [tiny/image]
weights: {weights}
licence: none
device: cpu
options:
  sizes: [32x32, 64x64]
  steps: 4
  guidance: 3.0
  max_steps: 1000
  qualities: {{hd: {{steps: 6}}}}
  omp_num_threads: 1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with one small image model."""
    folder = tmp_path_factory.mktemp("images")
    weights = make_pipeline(folder / "weights")
    (folder / "models").mkdir()
    (folder / "models/image.yaml").write_text(CONFIG.format(weights=weights))
    running = start(folder / "data", folder / "server.log", models_dir=str(folder / "models"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def sdk(server: RunningServer) -> Iterator[OpenAI]:
    transport = openai.DefaultHttpxClient(trust_env=False)
    url = f"{server.url}/oai/v1"
    with OpenAI(base_url=url, api_key=server.key, max_retries=0, http_client=transport) as client:
        yield client


def fetch(url: str, **headers: str) -> httpx.Response:
    """As a stranger: with no key."""
    return httpx.get(url, headers=headers, trust_env=False)


def test_native_answer_links_to_a_picture_that_needs_no_key(
    server: RunningServer, http: httpx.Client
) -> None:
    answer = http.post(GENERATE, json=BODY | {"n": 2, "size": "64x64"})

    body = answer.raise_for_status().json()
    assert [entry["seed"] for entry in body["data"]["data"]] == [7, 8]
    assert answer.headers["x-scaigrid-model"] == MODEL
    picture = fetch(body["data"]["data"][0]["url"])
    assert decode(picture.content)[:2] == (64, 64)
    assert picture.headers["content-type"] == "image/png"
    assert "sandbox" in picture.headers.get_list("content-security-policy")[0]
    files = [path for path in (server.data_dir / "media").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_part_of_a_picture_and_its_head(http: httpx.Client) -> None:
    url = http.post(GENERATE, json=BODY).json()["data"]["data"][0]["url"]

    whole = fetch(url)
    part = fetch(url, Range="bytes=1-3")
    head = httpx.head(url, trust_env=False)

    assert (part.status_code, part.content) == (206, b"PNG")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


def test_changed_link_leads_nowhere(http: httpx.Client) -> None:
    url = http.post(GENERATE, json=BODY).json()["data"]["data"][0]["url"]

    changed = fetch(url[:-1] + ("A" if url[-1] != "A" else "B"))

    assert (changed.status_code, changed.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_base64_and_link_are_the_same_picture(http: httpx.Client) -> None:
    url = http.post(GENERATE, json=BODY).json()["data"]["data"][0]["url"]

    inline = http.post(GENERATE, json=BODY | {"response_format": "b64_json"}).json()["data"]["data"][0]

    assert base64.b64decode(inline["b64_json"]) == fetch(url).content


def test_metadata_reaches_the_engine(http: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": "a red circle", "response_format": "b64_json"}

    own = http.post(GENERATE, json=body | {"seed": 7, "steps": 9}).json()["data"]["data"]
    metadata = http.post(GENERATE, json=body | {"metadata": {"seed": 7, "steps": 9}}).json()["data"]["data"]

    assert own == metadata


def test_official_sdk_draws(sdk: OpenAI) -> None:
    linked = sdk.images.generate(model=MODEL, prompt="a red circle", n=2, size="auto", quality="auto")
    inline = sdk.images.generate(
        model=MODEL, prompt="a red circle", response_format="b64_json", extra_body={"metadata": {"seed": 3}}
    )

    assert linked.data is not None
    assert inline.data is not None
    assert [decode(fetch(str(image.url)).content)[:2] for image in linked.data] == [(32, 32), (32, 32)]
    assert decode(base64.b64decode(str(inline.data[0].b64_json)))[:2] == (32, 32)


def test_official_sdk_streams_and_hands_our_progress_on(sdk: OpenAI) -> None:
    stream = sdk.images.generate(model=MODEL, prompt="a red circle", stream=True, partial_images=1)

    events = list(stream)

    assert [event.type for event in events] == ["image_generation.progress"] * 4 + [
        "image_generation.completed"
    ]
    completed: Any = events[-1]
    assert decode(base64.b64decode(completed.b64_json))[:2] == (32, 32)
    assert completed.size == "32x32"
    assert completed.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"size": "1024x1024"}, "size"),
        ({"quality": "low"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"n": 0}, "n"),
        ({"prompt": "word " * 100}, "prompt"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "webp"}, "output_format"),
        ({"extra_body": {"metadata": {"steps": 5000}}}, "metadata.steps"),
        ({"extra_body": {"guidance_scale": 3}}, "guidance_scale"),
    ],
)
def test_official_sdk_raises_bad_request_with_the_param(
    sdk: OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        sdk.images.generate(**{"model": MODEL, "prompt": "x"} | fields)

    assert (failure.value.code, failure.value.param) == ("VALIDATION_ERROR", param)


def test_native_stream_tells_every_step(http: httpx.Client) -> None:
    with http.stream("POST", GENERATE, json=BODY | {"stream": True, "quality": "hd"}) as answer:
        frames = answer.read().decode().split("\n\n")

    assert [frame.partition("\n")[0] for frame in frames[:-2]] == (
        ["event: image.progress"] * 6 + ["event: image.completed"]
    )
    assert frames[-2:] == ["data: [DONE]", ""]


def in_background(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_running_request_can_be_watched_by_the_id_that_the_client_chose(
    server: RunningServer, http: httpx.Client
) -> None:
    foreign = server.make_key(permissions=["models:use"])
    ended: list[httpx.Response] = []

    def draw() -> None:
        with server.client() as client:
            body = BODY | {"steps": 400, "response_format": "b64_json"}
            ended.append(client.post(GENERATE, json=body, headers={"X-Request-ID": "my-picture"}))

    thread = in_background(draw)
    seen: list[dict[str, Any]] = []

    def has_moved() -> bool:
        answer = http.get("/v1/inference/requests/my-picture")
        seen.extend([answer.json()["data"]] if answer.status_code == 200 else [])
        return bool(seen) and seen[-1]["progress"] is not None

    until(has_moved)
    with server.client(foreign) as stranger:
        assert stranger.get("/v1/inference/requests/my-picture").status_code == 404
        assert stranger.get("/v1/inference/requests").json()["data"]["items"] == []
    assert [item["id"] for item in http.get("/v1/inference/requests").json()["data"]["items"]] == [
        "my-picture"
    ]
    thread.join()

    assert ended[0].status_code == 200
    assert (seen[-1]["state"], seen[-1]["model"], seen[-1]["progress"]["num_steps"]) == (
        "running",
        MODEL,
        400,
    )
    assert http.get("/v1/inference/requests/my-picture").status_code == 404


def test_client_that_leaves_stops_the_drawing(http: httpx.Client, server: RunningServer) -> None:
    with (
        server.client() as client,
        client.stream("POST", GENERATE, json=BODY | {"steps": 1000, "stream": True}) as answer,
    ):
        next(answer.iter_bytes())

    until(lambda: http.get("/v1/inference/requests").json()["data"]["items"] == [])
    begun = time.monotonic()
    assert http.post(GENERATE, json=BODY).status_code == 200
    assert time.monotonic() - begun < 5
    until(lambda: server.backend("be_image")["in_flight"] == 0)


def test_clients_at_once_get_what_each_would_get_alone(server: RunningServer, http: httpx.Client) -> None:
    bodies = [BODY | {"prompt": prompt, "response_format": "b64_json"} for prompt in ("one", "two", "three")]
    alone = [http.post(GENERATE, json=body).json()["data"]["data"][0]["b64_json"] for body in bodies]
    together: dict[int, str] = {}

    def draw(place: int) -> None:
        with server.client() as client:
            answer = client.post(GENERATE, json=bodies[place])
        together[place] = answer.json()["data"]["data"][0]["b64_json"]

    for thread in [in_background(lambda place=place: draw(place)) for place in range(3)]:  # type: ignore[misc]
        thread.join()

    for place, picture in enumerate(alone):
        difference = largest_difference(base64.b64decode(picture), base64.b64decode(together[place]))
        assert difference <= 2


def test_death_of_the_worker_ends_the_stream_and_the_next_request_is_drawn(
    server: RunningServer, http: httpx.Client
) -> None:
    with http.stream("POST", GENERATE, json=BODY | {"steps": 1000, "stream": True}) as answer:
        pieces = answer.iter_text()
        next(pieces)
        os.kill(int(str(server.backend("be_image")["pid"])), signal.SIGKILL)
        rest = "".join(pieces)

    assert '"code":"BACKEND_ERROR"' in rest
    assert rest.endswith("data: [DONE]\n\n")
    assert http.post(GENERATE, json=BODY).status_code == 200


def test_links_survive_a_restart_of_the_server(
    tmp_path: Path, server: RunningServer, http: httpx.Client
) -> None:
    """Another server over a copy of the data: the key and the files are all there is."""
    url = http.post(GENERATE, json=BODY).json()["data"]["data"][0]["url"]
    picture = fetch(url).content
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    subprocess.run(
        ["cp", "-r", str(server.data_dir / "media"), str(server.data_dir / "media.key"), str(data)],
        check=True,
    )

    again = start(data, tmp_path / "server.log", models_dir=str(server.data_dir.parent / "models"))
    path = url.removeprefix(server.url)

    assert fetch(again.url + path).content == picture
    assert again.stop() == 0


def test_example_makes_a_contact_sheet(server: RunningServer, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    command = [
        sys.executable,
        str(ROOT / "examples/picture_sheet.py"),
        "a <b>",
        "circle",
        "--seeds",
        "1",
        "2",
    ]
    options = ["--url", server.url, "--model", MODEL, "--out", str(sheet)]

    run = subprocess.run(
        [*command, *options],
        env=os.environ | {"HEARTH_API_KEY": server.key, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    page = sheet.read_text()
    assert run.stdout == f"4 pictures in {sheet}\n"
    assert page.count("data:image/png;base64,") == 4
    assert "a &lt;b&gt;" in page
