"""Answers of image requests as bytes."""

import base64
import json
from typing import Any

from engines.contract.image import ImageProgress, Picture
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.wire.image_render import NativeImages, OpenAIImages

ITEMS: list[Item] = [ImageProgress(1, 2), Picture(1, b"two", 8, 64, 96), Picture(0, b"one", 7, 64, 96)]
USAGE = Usage(9, 0)
LINKS = {0: "http://h/0", 1: "http://h/1"}


def events(raw: bytes) -> list[dict[str, Any]]:
    """Data of all events; each names its type twice."""
    found = []
    for frame in raw.decode().split("\n\n")[:-1]:
        kind, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {found[-1]['type']}"
    return found


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_native_answer_has_links_in_order_in_the_envelope() -> None:
    body = json.loads(NativeImages("m", "req_1", LINKS, created=5).whole(ITEMS, USAGE))

    data = [{"url": "http://h/0", "seed": 7}, {"url": "http://h/1", "seed": 8}]
    assert body == {
        "status": "ok",
        "data": {"created": 5, "model": "m", "data": data},
        "meta": {"request_id": "req_1"},
    }


def test_openai_answer_has_files_where_there_are_no_links() -> None:
    body = json.loads(OpenAIImages("m", {}, created=5).whole(ITEMS, USAGE))

    assert (body["created"], body["model"], body["output_format"]) == (5, "m", "png")
    assert body["data"] == [{"b64_json": b64(b"one"), "seed": 7}, {"b64_json": b64(b"two"), "seed": 8}]
    assert body["usage"]["input_tokens"] == 9


def test_native_stream_tells_steps_and_each_picture_when_it_is_there() -> None:
    renderer = NativeImages("m", "req_1", LINKS, created=5)

    told = events(renderer.items(ITEMS) + renderer.end(USAGE))

    assert told[0] == {"type": "image.progress", "step": 1, "num_steps": 2}
    assert [(event["index"], event["url"]) for event in told[1:]] == [(1, "http://h/1"), (0, "http://h/0")]


def test_openai_stream_has_files_and_usage_with_the_last() -> None:
    renderer = OpenAIImages("m", LINKS, created=5)

    before = events(renderer.items(ITEMS))
    last = events(renderer.end(USAGE))

    assert [event["type"] for event in before] == ["image_generation.progress", "image_generation.completed"]
    assert (before[1]["b64_json"], before[1]["usage"]) == (b64(b"two"), None)
    assert (last[0]["b64_json"], last[0]["size"], last[0]["usage"]["total_tokens"]) == (
        b64(b"one"),
        "64x96",
        9,
    )


def test_stream_without_pictures_ends_without_events() -> None:
    assert OpenAIImages("m", {}).end(USAGE) == NativeImages("m", "r", {}).end(USAGE) == b""
