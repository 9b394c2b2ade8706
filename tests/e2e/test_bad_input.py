"""Whatever a client sends, it gets a fitting refusal and the server goes on answering."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import RunningServer, StartServer

pytestmark = pytest.mark.vllm
CHAT = "/v1/inference/chat"
OPENAI_CHAT = "/oai/v1/chat/completions"
MODEL = "starter/chat"
USER = {"role": "user", "content": "hello"}
GOOD: dict[str, Any] = {"model": MODEL, "messages": [USER], "max_tokens": 2}
TOOL = {"type": "function", "function": {"name": "f"}}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "model_missing": ({"model": None}, "model"),
    "model_number": ({"model": 5}, "model"),
    "messages_missing": ({"messages": None}, "messages"),
    "messages_empty": ({"messages": []}, "messages"),
    "messages_text": ({"messages": "hello"}, "messages"),
    "role_unknown": ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    "content_number": ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    "tool_answer_without_call": (
        {"messages": [USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        "messages.1.tool_call_id",
    ),
    "image": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
                    ],
                }
            ]
        },
        "messages.0.content.0",
    ),
    "prompt_beyond_context": (
        {"messages": [{"role": "user", "content": "hello " * 6000}]},
        "messages",
    ),
    "prompt_far_beyond_context": (
        {"messages": [{"role": "user", "content": "hello " * 600_000}]},
        "messages",
    ),
    "max_tokens_zero": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens_text": ({"max_tokens": "5"}, "max_tokens"),
    "temperature_high": ({"temperature": 2.5}, "temperature"),
    "top_p_zero": ({"top_p": 0}, "top_p"),
    "n_high": ({"n": 1000}, "n"),
    "seed_beyond_64_bits": ({"seed": 2**63}, "seed"),
    "stop_many": ({"stop": ["x"] * 100}, "stop"),
    "top_logprobs_high": ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    "logit_bias_beyond_vocabulary": ({"logit_bias": {"4294967295": 1}}, "logit_bias"),
    "tools_twice": ({"tools": [TOOL, TOOL]}, "tools.1.function.name"),
    "tool_choice_without_tools": ({"tool_choice": "required"}, "tool_choice"),
    "schema_deep": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": json.loads('{"items":' * 40 + "{}" + "}" * 40)},
            }
        },
        "response_format.json_schema.schema",
    ),
    "chat_template": ({"chat_template": "{{ x }}"}, "chat_template"),
}
RAW_CASES: dict[str, bytes] = {
    "no_json": b"hello",
    "empty": b"",
    "array": b"[]",
    "nan": b'{"model": "starter/chat", "messages": [], "temperature": NaN}',
    "overflow": b'{"model": "starter/chat", "messages": [], "temperature": 1e400}',
    "lone_surrogate": b'{"model": "starter/chat", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "duplicate_key": b'{"model": "starter/chat", "model": "x", "messages": []}',
    "nested": b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long_number": b'{"model": "starter/chat", "seed": ' + b"9" * 5000 + b"}",
    "not_utf8": b'{"model": "\xff"}',
}


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """Checks afterwards that the server still answers."""
    with server.client() as client:
        yield client
        assert client.post(CHAT, json=GOOD).status_code == 200


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and the first field at fault, in either dialect."""
    error = answer.json()["error"]
    field = error["param"] if "param" in error else error["details"][0]["field"]
    return answer.status_code, error["code"], field


@pytest.mark.parametrize("case", CASES)
def test_wrong_field_is_named_in_both_dialects(client: httpx.Client, case: str) -> None:
    change, field = CASES[case]
    body = GOOD | change

    assert refusal(client.post(CHAT, json=body)) == (422, "VALIDATION_ERROR", field)
    assert refusal(client.post(OPENAI_CHAT, json=body)) == (400, "VALIDATION_ERROR", field)


@pytest.mark.parametrize("case", CASES)
def test_wrong_field_of_a_stream_is_refused_before_it_starts(client: httpx.Client, case: str) -> None:
    change, field = CASES[case]

    answer = client.post(CHAT, json=GOOD | {"stream": True} | change)

    assert refusal(answer) == (422, "VALIDATION_ERROR", field)


@pytest.mark.parametrize("case", RAW_CASES)
def test_wrong_json_is_refused(client: httpx.Client, case: str) -> None:
    answer = client.post(CHAT, content=RAW_CASES[case], headers={"Content-Type": "application/json"})

    assert refusal(answer) == (422, "VALIDATION_ERROR", "body")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x"])
def test_wrong_content_type_is_refused(client: httpx.Client, content_type: str) -> None:
    answer = client.post(CHAT, content=json.dumps(GOOD), headers={"Content-Type": content_type})

    assert refusal(answer) == (422, "VALIDATION_ERROR", "body")


@pytest.mark.parametrize(("field", "value"), [("thinking", True), ("tools", [TOOL])])
def test_what_the_model_cannot_do_is_refused(start_fake: StartServer, field: str, value: object) -> None:
    with start_fake({"echo": "{}"}).client() as client:
        answer = client.post(CHAT, json=GOOD | {"model": "fake/echo", field: value})

    assert refusal(answer) == (422, "VALIDATION_ERROR", field)


def test_body_of_10_mb_is_refused(client: httpx.Client) -> None:
    body = GOOD | {"messages": [{"role": "user", "content": "x" * 10_000_000}]}

    answer = client.post(CHAT, json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", [CHAT, OPENAI_CHAT])
def test_unknown_model(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json=GOOD | {"model": "nobody/nothing"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MODEL_NOT_FOUND")


def test_key_without_permission(server: RunningServer, client: httpx.Client) -> None:
    with server.client(server.make_key(permissions=["models:list"])) as other:
        answer = other.post(CHAT, json=GOOD)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AUTHZ_PERMISSION_DENIED")


def test_key_for_another_model(server: RunningServer, client: httpx.Client) -> None:
    with server.client(server.make_key(permissions=["models:use"], models=["other/model"])) as other:
        answer = other.post(CHAT, json=GOOD)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MODEL_ACCESS_DENIED")


def test_no_key(server: RunningServer, client: httpx.Client) -> None:
    answer = httpx.post(f"{server.url}{CHAT}", json=GOOD, trust_env=False)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_TOKEN_MISSING")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/inference/nothing", 404, "NOT_FOUND"),
        ("GET", "/v1/models?limit=0", 422, "VALIDATION_ERROR"),
        ("GET", "/v1/models/nobody/nothing", 404, "MODEL_NOT_FOUND"),
    ],
)
def test_wrong_path_or_method(client: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
