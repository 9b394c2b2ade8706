"""How batches look in both dialects, and how they are asked for."""

from datetime import timedelta
from typing import Any

import pytest

from server.batch.body import BatchBody, OpenAIBatchBody, decode_inline, file_id_of
from server.batch.input_check import InputProblem
from server.batch.paging import cursor_of, read_cursor, read_status
from server.batch.states import BatchState, Counts
from server.batch.views import native_batch, openai_batch
from server.errors import ServiceError
from server.wire.json_body import check_fields
from tests.server.batch.stages import NOW, batch

URL = "http://localhost"


def test_progress_is_that_since_the_batch_was_taken_up() -> None:
    running = batch(
        state=BatchState.IN_PROGRESS,
        counts=Counts(100, completed=50, failed=10),
        resumed_at=NOW,
        resumed_done=40,
    )

    progress = native_batch(running, URL, NOW + timedelta(seconds=10))["progress"]

    assert progress == {"fraction": 0.6, "lines_per_second": 2.0, "seconds_left": 20.0}


def test_without_a_rate_there_is_no_estimate() -> None:
    running = batch(state=BatchState.IN_PROGRESS, counts=Counts(3), resumed_at=NOW)

    progress = native_batch(running, URL, NOW)["progress"]

    assert progress == {"fraction": 0.0, "lines_per_second": None, "seconds_left": None}


def test_result_files_are_linked_where_the_client_reached_us() -> None:
    ended = batch(state=BatchState.COMPLETED, output_file_id="file_o", ended_at=NOW)

    shown = native_batch(ended, "https://h", NOW)

    assert shown["output_file_url"] == "https://h/v1/files/file_o/content"
    assert shown["error_file_url"] is None
    assert shown["completed_at"] == NOW


@pytest.mark.parametrize(
    ("state", "member"),
    [
        (BatchState.COMPLETED, "completed_at"),
        (BatchState.FAILED, "failed_at"),
        (BatchState.EXPIRED, "expired_at"),
        (BatchState.CANCELLED, "cancelled_at"),
    ],
)
def test_openais_end_is_told_by_its_own_member(state: BatchState, member: str) -> None:
    shown = openai_batch(batch(state=state, ended_at=NOW, surface="openai", endpoint="/v1/embeddings"))

    ends = ("completed_at", "failed_at", "expired_at", "cancelled_at")
    assert [name for name in ends if shown[name] is not None] == [member]
    assert shown[member] == int(NOW.timestamp())


def test_problems_are_told_in_both_dialects() -> None:
    failed = batch(state=BatchState.FAILED, problems=(InputProblem("invalid_json_line", 3, "is no JSON"),))
    entry = {"code": "invalid_json_line", "message": "is no JSON", "line": 3, "param": None}

    assert native_batch(failed, URL, NOW)["errors"] == [entry]
    assert openai_batch(failed)["errors"] == {"object": "list", "data": [entry]}


def test_a_cursor_finds_its_place_again() -> None:
    assert read_cursor(cursor_of(batch())) == (NOW, "batch_a")
    assert read_cursor(None) is None


@pytest.mark.parametrize("cursor", ["?", "bm90aGluZw", "MjAyNi0xMy0wMSBiYXRjaF9h"])
def test_a_strange_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ServiceError, match="cursor"):
        read_cursor(cursor)


def test_several_states_may_be_asked_for() -> None:
    assert read_status("failed, expired") == (BatchState.FAILED, BatchState.EXPIRED)
    assert read_status(None) == ()
    with pytest.raises(ServiceError, match="status"):
        read_status("done")


@pytest.mark.parametrize(
    ("url", "file_id"),
    [
        ("scaigrid://file/file_1", "file_1"),
        ("file_1", "file_1"),
        ("https://example.org/file_1", None),
        ("s3://bucket/file", None),
    ],
)
def test_own_files_are_told_from_addresses(url: str, file_id: str | None) -> None:
    assert file_id_of(url) == file_id


def test_an_inline_input_is_decoded_strictly() -> None:
    assert decode_inline("eA==") == b"x"
    for text in ("eA", "e A==", "€"):
        with pytest.raises(ServiceError, match="base64"):
            decode_inline(text)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint": "/v1/inference/chat"}, "endpoint"),
        ({"completion_window": "2d"}, "completion_window"),
        ({"input_file_id": ""}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3600}}, "output_expires_after"),
    ],
)
def test_openais_body_names_the_field_at_fault(change: dict[str, Any], field: str) -> None:
    body = {"input_file_id": "file_1", "endpoint": "/v1/embeddings", "completion_window": "24h"}

    check_fields(body, OpenAIBatchBody)
    with pytest.raises(ServiceError) as refused:
        check_fields(body | change, OpenAIBatchBody)

    assert refused.value.details[0].field == field


def test_a_native_body_has_exactly_one_input() -> None:
    assert BatchBody(input_file_id="file_1").input() == ("input_file_id", "file_1")
    with pytest.raises(ServiceError, match="input_file_url"):
        BatchBody().input()
    with pytest.raises(ServiceError, match="input_file_base64"):
        BatchBody(input_file_url="file_1", input_file_base64="eA==").input()
