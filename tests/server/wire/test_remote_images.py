"""Remote images of a chat: fetched and put in place where hosts are allowed, refused by parsing where not."""

import json
from typing import Any

import httpx
import pytest

from engines.contract.chat import ImagePart
from server.errors import ServiceError
from server.remote import RemoteFiles
from server.wire.chat_body import ChatBody, parse
from server.wire.json_body import validate
from server.wire.remote_images import MAX_REMOTE_IMAGES, with_remote_images
from tests.server.wire.chats import talk

URL = "https://images.example.org/cat.png"


def body(*urls: str) -> ChatBody:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return validate(json.dumps(talk({"role": "user", "content": parts})).encode(), ChatBody)


def remote(media_type: str = "image/png") -> RemoteFiles:
    async def look_up(host: str, port: int) -> list[str]:
        return ["93.184.215.14"]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": media_type}, content=b"\x89PNG")

    transport = httpx.MockTransport(answer)
    return RemoteFiles(["images.example.org"], max_bytes=99, lookup=look_up, transport=transport)


async def test_fetched_image_takes_the_place_of_its_url() -> None:
    fetched = await with_remote_images(body(URL), remote())

    assert parse(fetched).messages[0].parts == (ImagePart(b"\x89PNG"),)


async def test_nothing_is_fetched_where_no_host_is_allowed() -> None:
    untouched = await with_remote_images(body(URL), RemoteFiles((), max_bytes=1))

    with pytest.raises(ServiceError) as refusal:
        parse(untouched)
    assert refusal.value.details[0].field == "messages.0.content.0.image_url.url"


@pytest.mark.parametrize(
    ("media_type", "num_images"), [("text/html", 1), ("image/png", MAX_REMOTE_IMAGES + 1)]
)
async def test_other_content_and_too_many_images_are_refused(media_type: str, num_images: int) -> None:
    with pytest.raises(ServiceError) as refusal:
        await with_remote_images(body(*[URL] * num_images), remote(media_type))

    assert refusal.value.details[0].field == f"messages.0.content.{num_images - 1}.image_url.url"
