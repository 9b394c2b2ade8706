"""Events reach a real small HTTP server, signed; what it does not take is told by False."""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from server.webhooks import Event, EventType, WebhookSender, backoff_s

SECRET = "a secret"
EVENT = Event(
    EventType.BATCH_COMPLETED,
    "evt_1",
    {"id": "batch_1", "status": "completed"},
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


class Receiver:
    """Answers with the statuses that a test has set, in order; the last one stays."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.got.append((self.path, headers, body))
            found.may_answer.wait(10)
            status = found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0]
            self.send_response(status)
            self.send_header("Location", found.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        found.url = f"http://127.0.0.1:{http_server.server_port}"
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.may_answer.set()
        http_server.shutdown()
        thread.join()


async def test_event_arrives_whole_and_its_signature_verifies(receiver: Receiver) -> None:
    assert await WebhookSender(receiver.url + "/hook", SECRET).deliver(EVENT)

    ((path, headers, body),) = receiver.got
    expected = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    assert path == "/hook"
    assert headers["x-scaigrid-signature"] == f"sha256={expected}"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "event_type": "batch.completed",
        "event_id": "evt_1",
        "source": "hearth",
        "tenant_id": None,
        "partner_id": None,
        "payload": {"id": "batch_1", "status": "completed"},
        "timestamp": "2026-01-02T03:04:05Z",
    }


async def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    assert await WebhookSender(receiver.url, None).deliver(EVENT)

    assert "x-scaigrid-signature" not in receiver.got[0][1]


async def test_failure_of_the_receiver_can_be_followed_by_success(receiver: Receiver) -> None:
    receiver.statuses = [500, 204]
    sender = WebhookSender(receiver.url, SECRET)

    assert [await sender.deliver(EVENT), await sender.deliver(EVENT)] == [False, True]

    assert receiver.got[0][2] == receiver.got[1][2]


async def test_redirect_is_no_success_and_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [307]

    assert not await WebhookSender(receiver.url, SECRET).deliver(EVENT)

    assert [path for path, _, _ in receiver.got] == ["/"]


async def test_slow_receiver_is_given_up(receiver: Receiver) -> None:
    receiver.may_answer.clear()

    async with asyncio.timeout(5):
        assert not await WebhookSender(receiver.url, SECRET, timeout_s=0.1).deliver(EVENT)


async def test_nobody_there_is_no_success() -> None:
    assert not await WebhookSender("http://127.0.0.1:1/", SECRET).deliver(EVENT)


async def test_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert await WebhookSender(receiver.url, SECRET).deliver(EVENT)


def test_waits_grow_and_end_after_five_retries() -> None:
    assert [backoff_s(attempt) for attempt in range(1, 7)] == [10, 40, 160, 640, 2560, None]
