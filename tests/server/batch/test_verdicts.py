"""What failures mean to a line."""

import pytest

from engines.contract.errors import ErrorCode
from server.batch.verdicts import LONGEST_WAIT_S, Verdict, judge, wait_s
from server.errors import ServiceError


def failure(code: ErrorCode, *, died: bool = False, retry_after_s: int | None = None) -> ServiceError:
    error = ServiceError(code, "told to fail", retry_after_s=retry_after_s)
    error.worker_died = died
    return error


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.MODEL_UNAVAILABLE,
        ErrorCode.BACKEND_RATE_LIMITED,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.STORAGE_FULL,
        ErrorCode.STORAGE_UNAVAILABLE,
    ],
)
def test_what_will_pass_is_waited_for_however_often(code: ErrorCode) -> None:
    assert judge(failure(code), deaths=0, failures=100) is Verdict.WAIT


@pytest.mark.parametrize(
    "code", [ErrorCode.VALIDATION_ERROR, ErrorCode.MODEL_NOT_FOUND, ErrorCode.MODEL_ACCESS_DENIED]
)
def test_a_refusal_is_the_outcome_at_once(code: ErrorCode) -> None:
    assert judge(failure(code), deaths=0, failures=1) is Verdict.RECORD


@pytest.mark.parametrize("code", [ErrorCode.BACKEND_ERROR, ErrorCode.BACKEND_TIMEOUT])
def test_a_failure_is_repeated_once(code: ErrorCode) -> None:
    assert judge(failure(code), deaths=0, failures=1) is Verdict.REPEAT
    assert judge(failure(code), deaths=0, failures=2) is Verdict.RECORD


def test_a_line_is_suspect_at_one_death_and_crashed_at_two() -> None:
    death = failure(ErrorCode.BACKEND_ERROR, died=True)

    assert judge(death, deaths=1, failures=1) is Verdict.SUSPECT
    assert judge(death, deaths=2, failures=2) is Verdict.CRASHED


def test_waits_grow_and_respect_what_the_error_asks_for() -> None:
    waits = [wait_s(failure(ErrorCode.BACKEND_RATE_LIMITED, retry_after_s=1), number) for number in range(9)]

    assert waits == sorted(waits)
    assert waits[0] == 1
    assert waits[-1] == LONGEST_WAIT_S
    assert wait_s(failure(ErrorCode.MODEL_UNAVAILABLE, retry_after_s=600), 0) == LONGEST_WAIT_S
