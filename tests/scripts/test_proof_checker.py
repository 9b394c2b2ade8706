"""The checker of the durability rig, on made-up histories."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from proof import events
from proof.checker import Verdict, check
from proof.events import AnyEvent, Counts, PlannedLine
from proof.report import table

PLAN = [PlannedLine("a", "one"), PlannedLine("b", "two"), PlannedLine("c", None, 404)]


def answered(custom_id: str, text: str, attempts: int = 1) -> str:
    response = {"status_code": 200, "body": {"data": {"choices": [{"message": {"content": text}}]}}}
    return (
        json.dumps({"custom_id": custom_id, "response": response, "error": None, "attempts": attempts}) + "\n"
    )


def refused(custom_id: str, status: int) -> str:
    response = {"status_code": status, "body": {}}
    return json.dumps({"custom_id": custom_id, "response": response, "error": None, "attempts": 1}) + "\n"


def ended(custom_id: str, code: str) -> str:
    error = {"code": code, "message": ""}
    return json.dumps({"custom_id": custom_id, "response": None, "error": error, "attempts": 0}) + "\n"


def observed(completed: int, failed: int, status: str = "in_progress", *, total: int = 3) -> events.Observed:
    counts = Counts(total, completed, failed, 0, 0, total - completed - failed)
    files = ("out", "err") if status == "completed" else (None, None)
    return events.Observed("b1", status, counts, *files, submission="s1")


OUTPUT, ERROR = answered("a", "one") + answered("b", "two"), refused("c", 404)


def history(
    *between: AnyEvent,
    output: str | None = OUTPUT,
    error: str | None = ERROR,
    last: events.Observed | None = None,
) -> list[AnyEvent]:
    """A batch from plan to downloads."""
    return [
        events.Planned("s1", PLAN),
        events.Acknowledged("s1", "b1"),
        observed(1, 0),
        *between,
        last or observed(2, 1, "completed"),
        events.Downloaded("b1", "output", "out", output),
        events.Downloaded("b1", "error", "err", error),
    ]


def faults(verdict: Verdict) -> dict[str, int]:
    return {name: number for name in Verdict.FAULTS if (number := getattr(verdict, name))}


def test_a_clean_history_is_clean() -> None:
    verdict = check([*history(), events.Struck("server"), events.Resumed(0.5)])

    assert verdict.is_clean
    assert (verdict.attempted, verdict.acknowledged, verdict.recorded, verdict.recovered) == (3, 3, 3, 0)
    assert verdict.resumed_s == [0.5]
    assert "| lines recorded | 3 |" in table({"run": verdict})


def test_an_unacknowledged_batch_may_be_missing_or_whole() -> None:
    missing = check([events.Planned("s1", PLAN)])
    whole = check([event for event in history() if not isinstance(event, events.Acknowledged)])

    assert missing.is_clean
    assert missing.attempted == 3
    assert whole.is_clean
    assert whole.recovered == 3


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (history(output=answered("a", "one")), {"lost": 1, "sums_wrong": 1}),
        (history(output=OUTPUT + answered("b", "two")), {"duplicated": 1, "sums_wrong": 1}),
        (
            history(error=ERROR + ended("a", "batch_expired")),
            {"duplicated": 1, "wrong_content": 2, "sums_wrong": 1},
        ),
        (history(output=answered("a", "one") + answered("x", "two")), {"lost": 1, "unexpected": 1}),
        (history(output=answered("a", "one") + answered("b", "wrong")), {"wrong_content": 1}),
        (history(output=answered("b", "two") + answered("a", "one")), {"wrong_content": 1}),
        (history(output=OUTPUT[:-1]), {"wrong_content": 1}),
        (history(error=refused("c", 500)), {"wrong_content": 1}),
        (history(error=None), {"lost": 1, "lost_files": 1, "sums_wrong": 1}),
        (history(last=observed(2, 0)), {"not_ended": 1}),
        (history(observed(0, 0)), {"shrunk": 1}),
        (history(observed(1, 0, total=4)), {"shrunk": 1}),
        (history(events.Missing("b1")), {"lost": 3}),
        (history(events.Acknowledged("s1", "b2")), {"doubled_batches": 1, "lost": 3}),
        (history(events.FileAcknowledged("f", "1"), events.FileRead("f", "2")), {"lost_files": 1}),
        (history(events.FileAcknowledged("f", "1"), events.FileRead("f", None)), {"lost_files": 1}),
        (history(events.Resumed(None)), {"not_resumed": 1}),
        (history(events.Surprise("403")), {"surprises": 1}),
        ([*history(), observed(1, 2, "completed")], {"changed_later": 1, "shrunk": 1, "sums_wrong": 1}),
        (
            [*history(), events.Downloaded("b1", "output", "out", OUTPUT.replace("one", "won"))],
            {"changed_later": 1, "wrong_content": 1},
        ),
        ([events.Planned("s1", PLAN), events.Acknowledged("s1", "b1")], {"lost": 3}),
        ([observed(1, 0)], {"unexpected": 1}),
    ],
)
def test_faults_are_found(happened: list[AnyEvent], expected: dict[str, int]) -> None:
    assert faults(check(happened)) == expected


@pytest.mark.parametrize(
    ("code", "excuse"),
    [
        ("batch_cancelled", [events.MayEnd("b1", "batch_cancelled")]),
        ("batch_expired", [events.MayEnd("b1", "batch_expired")]),
        ("worker_crashed", [events.Struck("worker"), events.Struck("both")]),
    ],
)
def test_a_line_ends_without_an_answer_only_where_that_may_be(code: str, excuse: list[AnyEvent]) -> None:
    def run(*events_before: AnyEvent) -> Verdict:
        error = ended("b", code) + ERROR
        last = observed(1, 2, "completed")
        return check(history(*events_before, output=answered("a", "one"), error=error, last=last))

    assert run(*excuse).is_clean
    assert faults(run()) == {"wrong_content": 1}


def test_attempts_beyond_the_first_are_counted() -> None:
    output = answered("a", "one", attempts=3) + answered("b", "two")

    assert check(history(output=output)).repeated_attempts == 2
