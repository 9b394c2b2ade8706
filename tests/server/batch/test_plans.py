"""What the gateway is asked for a body; the rest of the plans is seen in `test_line_runner.py`."""

from typing import NamedTuple

import pytest

from engines.contract.chat import ChatRequest, ImagePart
from server.batch import plans
from server.batch.plans import Planner
from server.errors import ServiceError
from server.remote import RemoteFiles
from server.wire.transcribe_body import SoundFile
from tests.server.wire.chats import talk
from tests.server.wire.test_remote_images import URL, remote

PICTURE = talk({"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]})


class Desk(NamedTuple):
    remote: RemoteFiles
    request_id: str = "req_1"

    async def sound(self, reference: object) -> SoundFile:
        raise AssertionError("no plan of a chat needs sound")


@pytest.mark.parametrize("plan", [plans.native_chat, plans.openai_chat])
async def test_images_are_fetched_where_the_operator_allows_their_host(plan: Planner) -> None:
    request = (await plan(PICTURE, Desk(remote()))).request

    assert isinstance(request, ChatRequest)
    assert request.messages[0].parts == (ImagePart(b"\x89PNG"),)
    assert not request.stream


async def test_images_are_fetched_nowhere_else() -> None:
    with pytest.raises(ServiceError, match="fetches nothing"):
        await plans.native_chat(PICTURE, Desk(RemoteFiles((), max_bytes=1)))
