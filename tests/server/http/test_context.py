"""Every answer has an id, safe headers and one entry in the metrics; nothing escapes."""

import logging

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.context import RequestContext
from server.telemetry import Metrics, request_id_var
from tests.fakes.edge import Answer, call


def answering(status: int = 200, headers: list[tuple[bytes, bytes]] | None = None, **state: str) -> ASGIApp:
    """An application that answers at once and reports these labels."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"].update(state)
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        await send({"type": "http.response.body", "body": str(request_id_var.get()).encode()})

    return app


async def through(app: ASGIApp, path: str = "/v1/me", *headers: tuple[str, str]) -> tuple[Answer, str]:
    metrics = Metrics(models=["fake/echo"], backends=["be_echo"])
    answer = await call(RequestContext(app, metrics=metrics), path, headers=headers)
    return answer, metrics.render().decode()


async def test_request_id_is_minted_and_sent_back_twice() -> None:
    answer, _ = await through(answering())

    request_id = answer.headers["x-scaigrid-request-id"]
    assert request_id.startswith("req_")
    assert answer.headers["x-request-id"] == request_id
    assert answer.body.decode() == request_id
    assert request_id_var.get() is None


@pytest.mark.parametrize("theirs", ["abc", "a.b-c_D9", "x" * 128])
async def test_sane_client_id_is_the_request_id(theirs: str) -> None:
    answer, _ = await through(answering(), "/v1/me", ("X-Request-ID", theirs))

    assert answer.headers["x-scaigrid-request-id"] == theirs


@pytest.mark.parametrize("theirs", ["", "a b", "x" * 129, "a\u00e9", "a,b", "<a>"])
async def test_insane_client_id_is_replaced(theirs: str) -> None:
    answer, _ = await through(answering(), "/v1/me", ("X-Request-ID", theirs))

    assert answer.headers["x-scaigrid-request-id"].startswith("req_")


async def test_answers_are_neither_sniffed_nor_stored() -> None:
    answer, _ = await through(answering())

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_route_s_own_caching_is_kept() -> None:
    answer, _ = await through(answering(headers=[(b"cache-control", b"private")]))

    assert answer.headers["cache-control"] == "private"


async def test_request_is_counted_under_the_labels_that_the_route_reports() -> None:
    _, text = await through(answering(model="fake/echo", backend="be_echo"), "/oai/v1/chat/completions")

    assert 'scaigrid_requests_total{model="fake/echo",protocol="openai",status="200"} 1.0' in text
    assert 'scaigrid_request_duration_seconds_count{backend="be_echo",model="fake/echo"} 1.0' in text


async def test_bug_becomes_an_internal_error_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def buggy(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("my diary")

    caplog.set_level(logging.INFO, "hearth")
    answer, text = await through(buggy)

    assert answer.status == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert answer.json()["meta"]["request_id"] == answer.headers["x-request-id"]
    assert b"diary" not in answer.body
    assert "request.crashed" in caplog.messages
    assert 'status="500"' in text


async def test_bug_after_the_first_byte_ends_the_answer_without_a_second_start() -> None:
    async def buggy(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("my diary")

    answer, _ = await through(buggy)

    assert [message["type"] for message in answer.messages] == ["http.response.start"]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/v1/inference/chat", b'data: {"code":"INTERNAL_ERROR"'),
        ("/oai/v1/chat/completions", b'data: {"error":'),
    ],
)
async def test_bug_in_the_middle_of_an_event_stream_is_told_in_it(path: str, event: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        raise RuntimeError("secret")

    answer, _ = await through(app, path)

    assert b"event: error\n" + event in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b"secret" not in answer.body


async def test_refusals_are_logged_with_their_route_but_not_their_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "hearth")
    await through(answering(status=404), "/v1/sgk_pasted_into_the_path")

    (record,) = caplog.records
    assert record.message == "request.finished"
    assert "sgk_" not in str(record.__dict__)


async def test_successes_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hearth")
    await through(answering())

    assert caplog.records == []
