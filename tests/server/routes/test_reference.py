"""The docs page: complete, inert, and right about permissions."""

import re
from typing import Any

import httpx
import pytest

from server.caller import Permission
from server.errors import OUTWARD
from server.routes.reference import render
from server.routes.reference.examples import curl
from tests.fakes.surface import Surface

PATH_VALUES = {
    "slug": "a/one",
    "model_id": "a/one",
    "backend_id": "be_a",
    "key_id": "apikey_1",
    "id": "req_1",
    "file_id": "file_1",
    "batch_id": "batch_1",
}


def document(**changes: Any) -> dict[str, Any]:
    """An OpenAPI document with one operation, `POST /things`, changed by `changes`."""
    operation = {"tags": ["things"], "summary": "Make", "description": "Makes a thing."} | changes
    return {"info": {"title": "Test", "version": "1"}, "paths": {"/things": {"post": operation}}}


def with_body(schema: dict[str, Any], **examples: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return document(requestBody={"content": {"application/json": content}})


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.split("</style>")[1]).split())


async def get_docs(surface: Surface) -> httpx.Response:
    async with surface.client() as client:
        return await client.get("/docs")


async def test_page_has_every_operation_of_the_document() -> None:
    surface = Surface()

    page = (await get_docs(surface)).text

    paths = surface.app.openapi()["paths"]
    wanted = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    shown = re.findall(r"<h3><span[^>]*>([A-Z]+)</span> (.*?)</h3>", page)
    assert {f"{method} {path.replace('<wbr>', '')}" for method, path in shown} == wanted


async def test_page_can_load_and_run_nothing() -> None:
    answer = await get_docs(Surface())

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'"
    )
    assert re.findall(r"<(script|link|img|iframe|form|object|base)\b|\bsrc=|\bon[a-z]+=", answer.text) == []


async def test_page_shows_the_address_at_which_it_was_asked_for() -> None:
    page = (await get_docs(Surface())).text

    assert "curl http://localhost/v1/inference/chat" in page
    assert "http://localhost/oai/v1</code>" in page


async def test_permissions_on_the_page_are_those_that_the_routes_ask_for() -> None:
    surface = Surface()
    surface.permissions = frozenset()
    page = (await get_docs(surface)).text
    asked = {}

    async with surface.client() as client:
        for path, methods in surface.app.openapi()["paths"].items():
            if (
                path.startswith(("/health", "/metrics", "/v1/me", "/v1/auth", "/v1/media"))
                or path == "/v1/api-keys"
            ):
                continue
            for method in methods:
                answer = await client.request(method, path.format(**PATH_VALUES))
                asked[method.upper(), path] = re.findall(
                    r"[a-z_]+:[a-z_]+", answer.json()["error"]["message"]
                )

    assert asked
    assert {operation: shown_permissions(page, *operation) for operation in asked} == asked


def shown_permissions(page: str, method: str, path: str) -> list[str]:
    for article in page.split("<article")[1:]:
        if f">{method}</span> {path}</h3>" in article.replace("<wbr>", ""):
            return re.findall(r"needs <code>([^<]+)</code>", article)
    return ["not on the page"]


def test_a_route_without_words_about_permission_takes_any_key() -> None:
    assert "any key" in text_of(render(document()))
    assert "no key needed" in text_of(render(document(), frozenset({"/things"})))
    assert "needs models:use Makes it." in text_of(
        render(document(description="Makes it. Needs `models:use`."))
    )


def test_text_of_the_document_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script>&\"'"
    body = with_body(
        {"properties": {evil: {"type": "string", "description": evil, "enum": [evil]}}}, **{evil: evil}
    )
    body["info"] = {"title": evil, "version": evil, "description": evil}
    body["servers"] = [{"url": evil}]
    body["paths"][f"/{evil}"] = {"get": {"tags": [evil], "summary": evil}}

    page = render(body)

    assert "<script" not in page
    assert page.count("<body>") == 1


def test_fields_are_listed_required_ones_first_with_type_limits_and_default() -> None:
    page = render(
        with_body(
            {
                "required": ["name"],
                "properties": {
                    "size": {"anyOf": [{"type": "number", "minimum": 0.0, "maximum": 2.0}, {"type": "null"}]},
                    "kind": {"enum": ["a", "b"], "type": "string", "default": "a"},
                    "name": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 9,
                        "description": "Of the `thing`",
                    },
                    "seed": {"type": "integer", "maximum": 2**63},
                },
            }
        )
    )

    assert (
        "name required string Of the thing not empty; at most 9 characters"
        " size number 0 to 2 kind string one of a, b; default a seed integer" in text_of(page)
    )


def test_nested_fields_are_listed_by_their_path() -> None:
    part = {"type": "object", "properties": {"text": {"type": "string"}}}
    body = with_body({"$ref": "#/components/schemas/Thing"})
    body["components"] = {
        "schemas": {
            "Thing": {
                "properties": {
                    "parts": {"oneOf": [{"type": "string"}, {"type": "array", "items": part}]},
                    "next": {"$ref": "#/components/schemas/Thing"},
                }
            }
        }
    }

    text = text_of(render(body)).replace(" . ", ".")

    assert "parts string or array of objects parts[]. text string" in text
    assert "next. next. next. parts" in text  # and no deeper, for ever


def test_examples_are_calls_that_a_shell_takes_as_they_are() -> None:
    page = render(with_body({}, quoted={"text": "it's"}, other={"text": "more"}))

    assert "curl http://127.0.0.1:8000/things" in page
    assert "-d &#x27;{&quot;text&quot;: &quot;it&#x27;\\&#x27;&#x27;s&quot;}&#x27;" in page
    assert "Body: other" in page


def test_a_form_is_sent_part_by_part() -> None:
    call = curl("POST", "/up", {"file": "@a.wav", "words": "it's"}, is_form=True)

    assert call.splitlines()[2:] == ["  -F file=@a.wav \\", "  -F 'words=it'\"'\"'s'"]


def test_a_body_without_an_example_gets_a_placeholder_for_what_is_required() -> None:
    page = render(with_body({"required": ["name"], "properties": {"name": {}, "size": {}}}))

    assert "-d &#x27;{&quot;name&quot;: &quot;...&quot;}&#x27;" in page


def test_entries_of_a_list_are_described() -> None:
    body = with_body(
        {"properties": {"kinds": {"type": "array", "items": {"$ref": "#/components/schemas/Kind"}}}}
    )
    body["components"] = {"schemas": {"Kind": {"type": "string", "enum": ["a", "b"]}}}

    assert "kinds array of strings each one of a, b" in text_of(render(body))


def test_answers_streams_and_failures_are_shown_by_example() -> None:
    answers = {"application/json": {"example": {"a": 1}}, "text/event-stream": {"example": "data: [DONE]"}}
    failure = {"description": "No `key`", "content": {"application/json": {"example": {}}}}

    page = render(
        document(responses={"200": {"content": answers}, "401": failure, "422": {"description": "?"}})
    )

    assert 'Answer {"a": 1} Answer as a stream data: [DONE] Errors Status Meaning 401 No key' in text_of(
        page
    ).replace("&quot;", '"')


@pytest.mark.parametrize("code", OUTWARD)
def test_every_error_code_is_on_the_page_with_its_status(code: str) -> None:
    assert f"{code} {OUTWARD[code].status}" in text_of(render(document()))  # type: ignore[index]  # a StrEnum


def test_permissions_that_exist_are_the_only_ones_on_the_page() -> None:
    page = render(Surface().app.openapi())

    assert set(re.findall(r"needs <code>([^<]+)</code>", page)) <= set(Permission)
