"""Batches on a real server with fake engines: the whole way, both dialects, cancel, deaths, restarts, foreign keys."""

import base64
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import RunningServer, StartServer, running_fake

WAIT_S = 60.0
CHAT = "/v1/inference/chat"


def chat_line(
    custom_id: str, text: str, model: str = "fake/echo", url: str = CHAT, **body: Any
) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": url,
        "body": {"model": model, "messages": messages} | body,
    }


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def submit(client: httpx.Client, content: bytes, **body: Any) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    answer = client.post("/v1/inference/batch", json={"input_file_base64": encoded} | body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def get(client: httpx.Client, batch_id: str) -> dict[str, Any]:
    batch = dict(client.get(f"/v1/inference/batch/{batch_id}").raise_for_status().json()["data"])
    counts = dict(batch["request_counts"])
    assert counts.pop("total") == sum(counts.values())
    return batch


def until(client: httpx.Client, batch_id: str, is_done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        batch = get(client, batch_id)
        if is_done(batch):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"the batch did not get there: {batch}")


def has_ended(batch: dict[str, Any]) -> bool:
    return batch["status"] in ("completed", "failed", "expired", "cancelled")


def lines_of(client: httpx.Client, url: str | None) -> dict[str, dict[str, Any]]:
    """The lines of a result file by custom_id, in their order."""
    if url is None:
        return {}
    content = client.get(url).raise_for_status().content
    found = [json.loads(line) for line in content.splitlines()]
    by_id = {line["custom_id"]: line for line in found}
    assert len(by_id) == len(found)
    return by_id


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("batches")
    with running_fake(folder, {"echo": "{}", "slow": "{token_delay_s: 0.2}"}) as server:
        yield server


@pytest.fixture
def key(echo: RunningServer) -> str:
    """A key of its own for each test, so that none sees another's batches."""
    return echo.make_key(["models:use", "models:list"])


@pytest.fixture
def client(echo: RunningServer, key: str) -> Iterator[httpx.Client]:
    with echo.client(key) as client:
        yield client


def test_every_line_has_one_record_in_the_order_of_the_input(client: httpx.Client) -> None:
    good = [chat_line(f"good-{number}", f"say {number}") for number in range(40)]
    bad = [
        chat_line("unknown", "hi", model="fake/nobody"),
        chat_line("wrong", "hi", temperature=99),
        chat_line("streamed", "hi", stream=True),
    ]

    made = submit(client, jsonl(*good, *bad), metadata={"job": "nightly"}, endpoint_completion_window="1h")
    batch = until(client, made["id"], has_ended)

    assert made["status"] == "validating"
    assert made["batch_id"] == made["id"]
    assert batch["status"] == "completed"
    assert batch["metadata"] == {"job": "nightly"}
    assert batch["endpoint_completion_window"] == "1h"
    counts = batch["request_counts"]
    assert (counts["total"], counts["completed"], counts["failed"]) == (43, 40, 3)
    assert batch["progress"]["fraction"] == 1.0
    output, errors = lines_of(client, batch["output_file_url"]), lines_of(client, batch["error_file_url"])
    assert list(output) == [line["custom_id"] for line in good]
    assert list(errors) == ["unknown", "wrong", "streamed"]
    body = output["good-7"]["response"]["body"]
    assert body["data"]["choices"][0]["message"]["content"] == "say 7"
    assert body["meta"]["request_id"] == output["good-7"]["response"]["request_id"]
    assert output["good-7"]["attempts"] == 1
    assert errors["unknown"]["response"]["status_code"] == 404
    assert errors["wrong"]["response"]["status_code"] == 422
    assert errors["wrong"]["response"]["body"]["error"]["details"][0]["field"] == "temperature"


def test_a_malformed_input_fails_before_anything_runs_and_tells_the_lines(client: httpx.Client) -> None:
    content = (
        jsonl(chat_line("a", "one"))
        + b"{not json\n"
        + jsonl(chat_line("a", "again"), {"custom_id": "c", "method": "GET", "url": CHAT, "body": {}})
    )

    batch = until(client, submit(client, content)["id"], has_ended)

    assert batch["status"] == "failed"
    assert [problem["line"] for problem in batch["errors"]] == [2, 3, 4]
    assert batch["request_counts"]["total"] == 0
    assert batch["output_file_id"] is None


def test_the_openai_sdk_works_unchanged(echo: RunningServer, key: str) -> None:
    url = "/v1/chat/completions"
    content = jsonl(chat_line("1", "hello there", url=url), chat_line("2", "hi", url=url, temperature=99))
    with openai.OpenAI(base_url=f"{echo.url}/oai/v1", api_key=key) as sdk:
        file = sdk.files.create(file=("in.jsonl", io.BytesIO(content)), purpose="batch")
        made = sdk.batches.create(
            input_file_id=file.id, endpoint=url, completion_window="24h", metadata={"a": "b"}
        )
        deadline = time.monotonic() + WAIT_S
        while (batch := sdk.batches.retrieve(made.id)).status != "completed":
            assert time.monotonic() < deadline, batch
            time.sleep(0.05)
        listed = list(sdk.batches.list(limit=1))
        assert batch.output_file_id is not None
        assert batch.error_file_id is not None
        output = json.loads(sdk.files.content(batch.output_file_id).text)
        error = json.loads(sdk.files.content(batch.error_file_id).text)

    assert [one.id for one in listed] == [made.id]
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (2, 1)
    assert batch.metadata == {"a": "b"}
    assert output["response"]["body"]["choices"][0]["message"]["content"] == "hello there"
    assert error["response"]["status_code"] == 400
    assert error["response"]["body"]["error"]["param"] == "temperature"


def test_a_file_that_was_uploaded_serves_as_input(client: httpx.Client) -> None:
    content = jsonl(chat_line("1", "from a file"))
    file = client.post("/v1/files", files={"file": ("in.jsonl", content)}).raise_for_status().json()["data"]

    for body in (
        {"input_file_url": f"scaigrid://file/{file['id']}"},
        {"input_file_url": file["id"]},
        {"input_file_id": file["id"]},
    ):
        made = client.post("/v1/inference/batch", json=body).raise_for_status().json()["data"]
        assert until(client, made["id"], has_ended)["request_counts"]["completed"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input_file_url"),
        ({"input_file_base64": "eA==", "input_file_id": "file_x"}, "input_file_id"),
        ({"input_file_base64": "?"}, "input_file_base64"),
        ({"input_file_id": "file_000000000000000000000000"}, "input_file_id"),
        ({"input_file_url": "https://example.org/in.jsonl"}, "input_file_url"),
        ({"input_file_url": "s3://bucket/in.jsonl"}, "input_file_url"),
        ({"input_file_base64": "eA==", "endpoint_completion_window": "2h"}, "endpoint_completion_window"),
        ({"input_file_base64": "eA==", "completion_window": "24h"}, "completion_window"),
        ({"input_file_base64": "eA==", "metadata": [1]}, "metadata"),
        ({"input_file_base64": "eA==", "metadata": {"a": "b" * 20000}}, "metadata"),
    ],
)
def test_a_bad_submission_is_refused_and_names_the_field(
    client: httpx.Client, body: dict[str, Any], field: str
) -> None:
    answer = client.post("/v1/inference/batch", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field


def test_a_cancelled_batch_keeps_what_has_ended(client: httpx.Client) -> None:
    quick = [chat_line(f"quick-{number}", "now") for number in range(5)]
    slow = [chat_line(f"slow-{number}", "a " * 500, model="fake/slow") for number in range(400)]
    made = submit(client, jsonl(*quick, *slow))
    until(client, made["id"], lambda batch: batch["request_counts"]["completed"] >= 5)

    begun = time.monotonic()
    told = client.post(f"/v1/inference/batch/{made['id']}/cancel").raise_for_status().json()["data"]
    batch = until(client, made["id"], has_ended)
    took_s = time.monotonic() - begun

    assert told["status"] == "cancelling"
    assert took_s < 10
    assert batch["status"] == "cancelled"
    assert batch["request_counts"]["completed"] == 5
    assert batch["request_counts"]["cancelled"] == 400
    assert set(lines_of(client, batch["output_file_url"])) == {line["custom_id"] for line in quick}
    errors = lines_of(client, batch["error_file_url"])
    assert {line["error"]["code"] for line in errors.values()} == {"batch_cancelled"}
    again = client.post(f"/v1/inference/batch/{made['id']}/cancel")
    assert again.json()["data"]["status"] == "cancelled"


def test_a_completed_batch_cannot_be_cancelled(client: httpx.Client) -> None:
    made = submit(client, jsonl(chat_line("1", "hi")))
    until(client, made["id"], has_ended)

    assert client.post(f"/v1/inference/batch/{made['id']}/cancel").status_code == 409


def test_batches_and_their_files_belong_to_their_key(echo: RunningServer, client: httpx.Client) -> None:
    made = submit(client, jsonl(chat_line("1", "hi")))
    batch = until(client, made["id"], has_ended)
    stranger = echo.make_key(["models:use", "models:list", "admin:access"])

    with echo.client(stranger) as foreign:
        path = f"/v1/inference/batch/{made['id']}"
        answers = [
            foreign.get(path),
            foreign.post(f"{path}/cancel"),
            foreign.get(f"/oai/v1/batches/{made['id']}"),
            foreign.post(f"/oai/v1/batches/{made['id']}/cancel"),
            foreign.get(batch["output_file_url"]),
            foreign.get(f"/v1/files/{batch['input_file_id']}"),
        ]
        items = foreign.get("/v1/inference/batch").json()["data"]["items"]
        taken = foreign.post("/v1/inference/batch", json={"input_file_id": batch["input_file_id"]})

    assert [answer.status_code for answer in answers] == [404] * 6
    assert items == []
    assert taken.status_code == 422


def test_batches_are_listed_by_status_and_page(client: httpx.Client) -> None:
    ids = [submit(client, jsonl(chat_line("1", "hi")))["id"] for _ in range(3)]
    for batch_id in ids:
        until(client, batch_id, has_ended)

    first = client.get("/v1/inference/batch", params={"limit": 2, "status": "completed"}).json()
    second = client.get(
        "/v1/inference/batch", params={"limit": 2, "cursor": first["pagination"]["next_cursor"]}
    ).json()
    none = client.get("/v1/inference/batch", params={"status": "failed,expired"}).json()
    wrong = client.get("/v1/inference/batch", params={"status": "done"})

    listed = [item["id"] for item in first["data"]["items"] + second["data"]["items"]]
    assert listed == ids[::-1]
    assert first["pagination"]["has_more"]
    assert not second["pagination"]["has_more"]
    assert none["data"]["items"] == []
    assert wrong.status_code == 422


def test_the_same_idempotency_key_gives_the_same_batch(client: httpx.Client) -> None:
    body = {"input_file_base64": base64.b64encode(jsonl(chat_line("1", "hi"))).decode()}
    headers = {"Idempotency-Key": "nightly-1"}

    first = client.post("/v1/inference/batch", json=body, headers=headers)
    second = client.post("/v1/inference/batch", json=body, headers=headers)
    other = client.post("/v1/inference/batch", json=body | {"metadata": {"a": 1}}, headers=headers)

    assert first.status_code == second.status_code == 200
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert other.status_code == 422
    assert len(client.get("/v1/inference/batch").json()["data"]["items"]) == 1


def test_a_line_that_kills_its_worker_twice_is_crashed_and_the_others_go_on(client: httpx.Client) -> None:
    lines = [chat_line(f"{number}", f"say {number}") for number in range(30)]
    lines[11] = chat_line("poison", "please !die:0")

    batch = until(client, submit(client, jsonl(*lines))["id"], has_ended)

    assert batch["status"] == "completed"
    assert (batch["request_counts"]["completed"], batch["request_counts"]["failed"]) == (29, 1)
    (error,) = lines_of(client, batch["error_file_url"]).values()
    assert error["custom_id"] == "poison"
    assert error["error"]["code"] == "worker_crashed"
    assert error["attempts"] == 2


def test_a_failing_line_is_tried_twice_and_told(client: httpx.Client) -> None:
    lines = [chat_line("fails", "!fail:0:BACKEND_ERROR"), chat_line("fine", "yes")]

    batch = until(client, submit(client, jsonl(*lines))["id"], has_ended)

    (error,) = lines_of(client, batch["error_file_url"]).values()
    assert error["response"]["status_code"] == 502
    assert error["attempts"] == 2
    assert set(lines_of(client, batch["output_file_url"])) == {"fine"}


def test_a_killed_server_goes_on_where_it_was(start_fake: StartServer) -> None:
    backends = {"echo": "{token_delay_s: 0.02}"}
    first = start_fake(backends)
    lines = [chat_line(f"{number}", f"say {number}") for number in range(600)]
    with first.client() as client:
        batch_id = submit(client, jsonl(*lines))["id"]
        until(client, batch_id, lambda batch: batch["request_counts"]["completed"] >= 20)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()

    second = start_fake(backends)
    second.key = first.key
    with second.client() as client:
        batch = until(client, batch_id, has_ended)
        output = lines_of(client, batch["output_file_url"])

    assert batch["status"] == "completed"
    assert list(output) == [line["custom_id"] for line in lines]
    assert all(
        line["response"]["body"]["data"]["choices"][0]["message"]["content"] == f"say {custom_id}"
        for custom_id, line in output.items()
    )


def test_a_server_that_is_told_to_stop_gives_its_lines_back(start_fake: StartServer) -> None:
    backends = {"slow": "{token_delay_s: 0.05}"}
    first = start_fake(backends)
    lines = [chat_line(f"{number}", "a " * 10, model="fake/slow") for number in range(300)]
    with first.client() as client:
        batch_id = submit(client, jsonl(*lines))["id"]
        until(client, batch_id, lambda batch: batch["request_counts"]["completed"] >= 20)
    assert first.stop() == 0

    second = start_fake(backends)
    second.key = first.key
    with second.client() as client:
        batch = until(client, batch_id, has_ended)
        output = lines_of(client, batch["output_file_url"])

    assert list(output) == [line["custom_id"] for line in lines]


def test_a_batch_ends_with_its_key(echo: RunningServer) -> None:
    admin = echo.client()
    made = admin.post("/v1/api-keys", json={"name": "temporary", "permissions": ["models:use"]}).json()[
        "data"
    ]
    with echo.client(made["key"]) as temporary:
        lines = [chat_line(f"{number}", "a " * 500, model="fake/slow") for number in range(300)]
        batch_id = submit(temporary, jsonl(*lines))["id"]
        until(temporary, batch_id, lambda batch: batch["status"] == "in_progress")

    admin.delete(f"/v1/api-keys/{made['id']}").raise_for_status()
    admin.close()

    deadline = time.monotonic() + WAIT_S
    while echo.backend("be_slow")["in_flight"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_too_many_batches_of_one_key_are_refused(start_fake: StartServer, tmp_path: Path) -> None:
    server = start_fake({"slow": "{token_delay_s: 1}"}, max_active_batches="2")
    content = base64.b64encode(jsonl(chat_line("1", "a b c d", model="fake/slow"))).decode()
    with server.client() as client:
        answers = [client.post("/v1/inference/batch", json={"input_file_base64": content}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0


def test_interactive_requests_go_before_lines_that_wait(start_fake: StartServer) -> None:
    server = start_fake({"slow": "{token_delay_s: 0.02}"})
    lines = [chat_line(f"{number}", "a " * 20, model="fake/slow") for number in range(2000)]
    with server.client() as client:
        batch_id = submit(client, jsonl(*lines))["id"]
        until(client, batch_id, lambda batch: batch["request_counts"]["completed"] >= 50)
        waits = []
        for _ in range(20):
            begun = time.monotonic()
            body = {"model": "fake/slow", "messages": [{"role": "user", "content": "one"}]}
            client.post(CHAT, json=body).raise_for_status()
            waits.append(time.monotonic() - begun)
        client.post(f"/v1/inference/batch/{batch_id}/cancel").raise_for_status()

    assert sorted(waits)[10] < 1.0
