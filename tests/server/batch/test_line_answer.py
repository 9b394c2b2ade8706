"""Lines of output and error files."""

import json

import pytest

from engines.contract.errors import ErrorCode
from server.batch.line_answer import LineAnswer, LineFailure, answered_line, refusal, unanswered_line
from server.errors import ServiceError, invalid

BATCH = "batch_0123456789abcdef01234567"
WRONG = invalid("messages", "is required")
FULL = ServiceError(ErrorCode.BACKEND_RATE_LIMITED, "full", retry_after_s=7)


def test_answered_line_holds_the_body_as_it_is() -> None:
    answer = LineAnswer(200, "req_1", b'{"a": 1e2,  "b": "\xc3\xa9"}')

    told = answered_line(BATCH, 3, 'a"\u00e9', answer=answer, attempts=2)

    assert told.endswith(b"}\n")
    assert b'"body":{"a": 1e2,  "b": "\xc3\xa9"}}' in told
    assert json.loads(told) == {
        "id": "batch_req_0123456789abcdef01234567_3",
        "custom_id": 'a"\u00e9',
        "response": {"status_code": 200, "request_id": "req_1", "body": {"a": 100.0, "b": "\u00e9"}},
        "error": None,
        "attempts": 2,
    }


@pytest.mark.parametrize("failure", LineFailure)
def test_unanswered_line_tells_why(failure: LineFailure) -> None:
    told = json.loads(unanswered_line(BATCH, 1, "a", failure=failure, attempts=0))

    assert list(told) == ["id", "custom_id", "response", "error", "attempts"]
    assert told["response"] is None
    assert told["error"]["code"] == failure
    assert told["error"]["message"]
    assert told["attempts"] == 0


@pytest.mark.parametrize("url", ["/v1/chat/completions", "/oai/v1/chat/completions", "/v1/audio/speech"])
def test_refusal_on_the_openai_surface(url: str) -> None:
    answer = refusal(WRONG, url, "req_1")

    assert (answer.status_code, answer.request_id, answer.usage, answer.files) == (400, "req_1", None, ())
    assert json.loads(answer.body) == {
        "error": {
            "message": "messages: is required",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "VALIDATION_ERROR",
        }
    }
    assert refusal(FULL, url, "req_1").status_code == 429


def test_refusal_on_the_native_surface() -> None:
    answer = refusal(WRONG, "/v1/inference/chat", "req_1")

    assert answer.status_code == 422
    assert json.loads(answer.body) == {
        "status": "error",
        "error": {
            "code": "VALIDATION_ERROR",
            "message": "messages: is required",
            "details": [{"field": "messages", "message": "is required"}],
        },
        "meta": {"request_id": "req_1"},
    }
    assert json.loads(refusal(FULL, "/v1/inference/chat", "r").body)["error"]["retry_after"] == 7
