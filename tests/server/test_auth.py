"""Nothing passes without a valid key but a literal set of paths."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.auth import Authentication, public_paths
from server.caller import Caller, Permission
from server.deps import Services
from server.settings import Settings
from tests.fakes.edge import Answer, bearer, call, http_scope

PUBLIC = frozenset({"/health"})


class Inside:
    """What lies behind the door; remembers who came in."""

    def __init__(self) -> None:
        self.callers: list[Caller | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.callers.append(scope["state"].get("caller"))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def body_must_not_be_read() -> Message:
    raise AssertionError("the body was read before the key was checked")


async def knock(services: Services, path: str, *headers: tuple[str, str]) -> tuple[Answer, Inside]:
    inside = Inside()
    door = Authentication(inside, keys=services.keys, public_paths=PUBLIC)
    answer = await call(door, path, method="POST", headers=headers, receive=body_must_not_be_read)
    return answer, inside


async def test_valid_key_enters_as_its_caller(services: Services) -> None:
    new = services.keys.create("mine", [Permission.MODELS_USE])

    answer, inside = await knock(services, "/v1/me", bearer(new.secret.reveal()))

    assert answer.status == 204
    assert [found and found.key_id for found in inside.callers] == [new.record.id]


async def test_missing_key_is_told_apart_from_a_wrong_one(services: Services) -> None:
    missing, inside = await knock(services, "/v1/me")
    wrong, also_inside = await knock(services, "/v1/me", bearer("sgk_wrong"))

    assert (missing.status, missing.json()["error"]["code"]) == (401, "AUTH_TOKEN_MISSING")
    assert (wrong.status, wrong.json()["error"]["code"]) == (401, "AUTH_TOKEN_INVALID")
    assert missing.headers["www-authenticate"] == wrong.headers["www-authenticate"] == "Bearer"
    assert inside.callers == also_inside.callers == []


@pytest.mark.parametrize(
    "form", ["{key}", "Basic {key}", "Bearer{key}", "Bearer  {key}", "Bearer {key} ", "Bearer "]
)
async def test_anything_but_one_bearer_key_is_invalid(services: Services, form: str) -> None:
    new = services.keys.create("mine", [])

    answer, _ = await knock(services, "/v1/me", ("Authorization", form.format(key=new.secret.reveal())))

    assert answer.json()["error"]["code"] == "AUTH_TOKEN_INVALID"


async def test_two_authorization_headers_are_invalid_even_if_both_are_right(services: Services) -> None:
    header = bearer(services.keys.create("mine", []).secret.reveal())

    answer, inside = await knock(services, "/v1/me", header, header)

    assert answer.status == 401
    assert inside.callers == []


async def test_revoked_and_unknown_keys_get_the_same_answer(services: Services) -> None:
    new = services.keys.create("mine", [])
    services.keys.revoke(new.record.id)

    revoked, _ = await knock(services, "/v1/me", bearer(new.secret.reveal()))
    unknown, _ = await knock(services, "/v1/me", bearer("sgk_unknown"))

    assert (revoked.status, revoked.body) == (unknown.status, unknown.body)


@pytest.mark.parametrize(
    "path", ["/health/", "//health", "/Health", "/health/../v1/me", "/health/detailed", "/v1/health", ""]
)
async def test_paths_like_a_public_one_are_not_public(services: Services, path: str) -> None:
    answer, inside = await knock(services, path)

    assert answer.status == 401
    assert inside.callers == []


async def test_host_header_does_not_make_a_path_public(services: Services) -> None:
    answer, _ = await knock(services, "/v1/me", ("Host", "localhost/health?x="))

    assert answer.status == 401


async def test_public_path_needs_no_key(services: Services) -> None:
    answer, inside = await knock(services, "/health")

    assert answer.status == 204
    assert inside.callers == [None]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_media_link_needs_no_key(services: Services, method: str) -> None:
    path = await services.media.publish(b"picture", "image/png")

    inside = Inside()
    door = Authentication(inside, keys=services.keys, public_paths=PUBLIC)
    answer = await call(door, path, method=method, receive=body_must_not_be_read)

    assert answer.status == 204
    assert inside.callers == [None]


@pytest.mark.parametrize(
    "form", ["{link}/", "{link}/../../me", "{link}A", "/{link}", "{link}\n", "/v1/media/", "/v1/media/short"]
)
async def test_paths_like_a_media_link_are_not_public(services: Services, form: str) -> None:
    path = form.format(link=await services.media.publish(b"picture", "image/png"))

    inside = Inside()
    door = Authentication(inside, keys=services.keys, public_paths=PUBLIC)
    answer = await call(door, path, receive=body_must_not_be_read)

    assert answer.status == 401
    assert inside.callers == []


async def test_media_link_allows_reading_only(services: Services) -> None:
    answer, inside = await knock(services, await services.media.publish(b"picture", "image/png"))

    assert answer.status == 401
    assert inside.callers == []


async def test_openai_paths_are_refused_in_openai_shape(services: Services) -> None:
    answer, _ = await knock(services, "/oai/v1/chat/completions")

    assert answer.json()["error"]["type"] == "authentication_error"


async def test_websockets_are_closed(services: Services) -> None:
    inside = Inside()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http_scope("/health") | {"type": "websocket"}
    await Authentication(inside, keys=services.keys, public_paths=PUBLIC)(scope, body_must_not_be_read, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert inside.callers == []


def test_public_paths_follow_the_settings() -> None:
    always = {"/health", "/health/live", "/health/ready"}

    assert public_paths(Settings()) == always | {"/docs", "/openapi.json", "/metrics"}
    assert public_paths(Settings(host="10.0.0.1", metrics_public=False)) == always
