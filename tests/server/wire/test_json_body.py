"""How a JSON body is read from a request, and how it is described."""

import pytest
from starlette.requests import Request
from starlette.types import Message

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.wire import examples
from server.wire.chat_body import ChatBody, parse
from server.wire.completion_body import CompletionBody
from server.wire.json_body import body_docs, read_json

BODY = b'{"model": "starter/chat", "messages": [{"role": "user", "content": "hi"}]}'


def request(content_type: str | None, body: bytes = BODY) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", 'application/json; charset="UTF-8"', "application/vnd.api+json"],
)
async def test_json_content_types_are_read(content_type: str) -> None:
    assert (await read_json(request(content_type), ChatBody)).model == "starter/chat"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "image/x+json",
    ],
)
async def test_other_content_types_are_refused(content_type: str | None) -> None:
    with pytest.raises(ServiceError) as refusal:
        await read_json(request(content_type), ChatBody)

    assert ErrorCode.VALIDATION_ERROR is refusal.value.code
    assert refusal.value.details[0].field == "body"


async def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(ServiceError) as refusal:
        await read_json(request("application/json", b"[]"), ChatBody)

    assert refusal.value.details[0].field == "body"


@pytest.mark.parametrize("model", [ChatBody, CompletionBody])
def test_description_of_a_body_refers_to_nothing_outside_itself(model: type[ChatBody]) -> None:
    docs = body_docs(model, question={"model": "starter/chat"})

    content = docs["requestBody"]["content"]["application/json"]
    assert "$ref" not in str(content)
    assert "max_tokens" in content["schema"]["properties"]
    assert content["examples"]["question"]["value"] == {"model": "starter/chat"}


@pytest.mark.parametrize("example", examples.CHAT.values(), ids=examples.CHAT)
def test_examples_are_valid(example: dict[str, object]) -> None:
    parse(ChatBody.model_validate(example))
