"""Batches and lines in a real store: who may change what, and that an outcome is written once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import msgspec
import pytest
from sqlalchemy import Connection

from server.batch import line_tables, tables
from server.batch.input_check import InputProblem
from server.batch.records import Batch
from server.batch.states import BatchState, Counts, Outcome
from server.store import Store, open_store
from tests.server.batch.stages import NOW, batch, line

_T = TypeVar("_T")
LATER = NOW + timedelta(seconds=5)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


class Desk:
    """A store and one-line transactions on it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def do(self, work: Callable[[Connection], _T]) -> _T:
        with self._store.transaction() as connection:
            return work(connection)

    def submit(self, batch_id: str = "batch_a", **fields: object) -> Batch:
        made = batch(batch_id, **fields)
        self.do(lambda c: tables.insert_batch(c, made))
        return made

    def found(self, batch_id: str = "batch_a") -> Batch:
        found = self.do(lambda c: tables.find_batch(c, batch_id))
        assert found is not None
        return found

    def take(self, runner: str = "me") -> Batch:
        self.do(lambda c: tables.take_over(c, runner, lease_s=None, now=NOW))
        return self.found()

    def begin(self, num_lines: int) -> Batch:
        """A batch in progress that this runner holds, with lines from 1."""
        self.submit()
        held = self.take()
        rows = [
            {
                "batch_id": "batch_a",
                "line_no": number,
                "custom_id": f"c{number}",
                "model": "m",
                "position": num_lines - number,
                "start": 10 * number,
                "size": 9,
            }
            for number in range(1, num_lines + 1)
        ]
        self.do(lambda c: line_tables.insert_lines(c, rows))
        assert self.do(lambda c: tables.begin(c, held, total=num_lines, now=NOW))
        return self.found()


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_a_batch_is_read_as_it_was_submitted(desk: Desk) -> None:
    made = desk.submit(metadata={"a": [1]}, completion_window="1h")

    assert desk.found() == made


def test_lists_are_paged_from_the_newest_and_by_owner(desk: Desk) -> None:
    for number in range(5):
        desk.submit(f"batch_{number}", created_at=NOW + timedelta(seconds=number // 2))
    desk.submit("batch_foreign", owner="apikey_b")

    first = desk.do(lambda c: tables.list_batches(c, "apikey_a", states=(), after=None, limit=3))
    last = first[-1]
    rest = desk.do(
        lambda c: tables.list_batches(c, "apikey_a", states=(), after=(last.created_at, last.id), limit=3)
    )

    assert [found.id for found in first + rest] == ["batch_4", "batch_3", "batch_2", "batch_1", "batch_0"]


def test_lists_can_be_narrowed_to_states(desk: Desk) -> None:
    desk.submit("batch_a")
    desk.submit("batch_b")
    desk.do(lambda c: tables.begin_cancelling(c, "batch_b", NOW))

    wanted = {BatchState.CANCELLING}
    found = desk.do(lambda c: tables.list_batches(c, "apikey_a", states=wanted, after=None, limit=9))

    assert [one.id for one in found] == ["batch_b"]


def test_whoever_takes_a_batch_over_fences_the_one_before(desk: Desk) -> None:
    desk.submit()
    old = desk.take("old")
    new = desk.take("new")

    assert new.epoch == old.epoch + 1
    assert not desk.do(lambda c: tables.begin(c, old, total=1, now=NOW))
    assert desk.do(lambda c: tables.begin(c, new, total=1, now=NOW))


def test_a_batch_that_is_held_is_not_taken_again_by_its_holder(desk: Desk) -> None:
    desk.submit()
    held = desk.take("me")

    assert desk.do(lambda c: tables.count_free(c, "me", lease_s=None)) == 0
    assert desk.take("me") == held


def test_a_released_batch_is_free(desk: Desk) -> None:
    desk.submit()
    desk.take("me")
    desk.do(lambda c: tables.release(c, "me"))

    assert desk.do(lambda c: tables.count_free(c, "me", lease_s=None)) == 1


def test_lines_come_in_order_of_execution_without_those_that_ended(desk: Desk) -> None:
    held = desk.begin(5)
    second = line(2)
    desk.do(lambda c: line_tables.record(c, second, 0, Outcome.FAILED, b"{}"))

    found = desk.do(lambda c: line_tables.open_lines(c, held.id, "m", -1, 3))

    assert [one.line_no for one in found] == [5, 4, 3]
    assert desk.do(lambda c: line_tables.open_models(c, held.id)) == {"m": 4}


def test_a_claim_is_given_once_per_attempt(desk: Desk) -> None:
    held = desk.begin(1)
    mine = line(1)

    assert desk.do(lambda c: line_tables.claim(c, held, mine))
    assert not desk.do(lambda c: line_tables.claim(c, held, mine))
    again = desk.do(lambda c: line_tables.find_line(c, held.id, 1))
    assert again is not None
    assert again.attempt == 1


def test_no_line_of_a_cancelled_batch_is_claimed(desk: Desk) -> None:
    held = desk.begin(1)
    desk.do(lambda c: tables.begin_cancelling(c, held.id, NOW))

    assert not desk.do(lambda c: line_tables.claim(c, held, line(1)))


def test_a_runner_that_lost_the_batch_claims_nothing(desk: Desk) -> None:
    held = desk.begin(1)
    desk.take("another")

    assert not desk.do(lambda c: line_tables.claim(c, held, line(1)))


def test_an_outcome_is_written_once(desk: Desk) -> None:
    held = desk.begin(1)
    desk.do(lambda c: line_tables.claim(c, held, line(1)))

    assert desk.do(lambda c: line_tables.record(c, line(1), 1, Outcome.COMPLETED, b"first"))
    assert not desk.do(lambda c: line_tables.record(c, line(1), 1, Outcome.FAILED, b"second"))
    assert desk.do(lambda c: line_tables.was_recorded(c, line(1), 1))
    (ended,) = desk.do(lambda c: line_tables.ended_lines(c, held.id, 0, 9))
    assert (ended.outcome, ended.answer) == (Outcome.COMPLETED, b"first")


def test_a_late_attempt_is_fenced(desk: Desk) -> None:
    held = desk.begin(1)
    desk.do(lambda c: line_tables.claim(c, held, line(1)))
    desk.do(lambda c: line_tables.claim(c, held, line(1, attempt=1)))

    assert not desk.do(lambda c: line_tables.record(c, line(1), 1, Outcome.COMPLETED, b"late"))
    assert not desk.do(lambda c: line_tables.was_recorded(c, line(1), 1))
    assert desk.do(lambda c: line_tables.record(c, line(1), 2, Outcome.COMPLETED, b"mine"))


def test_deaths_are_counted_for_the_attempt_that_saw_them(desk: Desk) -> None:
    held = desk.begin(1)
    desk.do(lambda c: line_tables.claim(c, held, line(1)))
    desk.do(lambda c: line_tables.count_death(c, line(1), 1))
    desk.do(lambda c: line_tables.count_death(c, line(1), 7))

    found = desk.do(lambda c: line_tables.find_line(c, held.id, 1))
    assert found is not None
    assert found.deaths == 1


def test_counts_of_a_running_batch_are_those_of_its_lines(desk: Desk) -> None:
    held = desk.begin(4)
    desk.do(lambda c: line_tables.record(c, line(1), 0, Outcome.COMPLETED, b"{}"))
    desk.do(lambda c: line_tables.record(c, line(2), 0, Outcome.FAILED, b"{}"))

    assert desk.found().counts == Counts(4, completed=1, failed=1)
    assert desk.found().counts.pending == 2
    assert desk.do(lambda c: line_tables.count_lines(c, held.id)) == Counts(4, completed=1, failed=1)


def test_closing_leaves_no_line_open_and_changes_none_that_ended(desk: Desk) -> None:
    held = desk.begin(3)
    desk.do(lambda c: line_tables.record(c, line(1), 0, Outcome.COMPLETED, b"{}"))

    assert desk.do(lambda c: line_tables.close_open(c, held.id, Outcome.EXPIRED)) == 2
    assert desk.found().counts == Counts(3, completed=1, expired=2)
    assert not desk.do(lambda c: line_tables.record(c, line(2), 0, Outcome.COMPLETED, b"late"))


def test_an_ended_batch_keeps_its_counts_without_its_lines(desk: Desk) -> None:
    held = desk.begin(2)
    desk.do(lambda c: line_tables.close_open(c, held.id, Outcome.CANCELLED))
    desk.do(lambda c: tables.begin_finalizing(c, held, NOW))
    counts = Counts(2, cancelled=2)
    desk.do(
        lambda c: tables.end(
            c, held, BatchState.COMPLETED, counts, files=(None, "file_e"), now=LATER, told="due"
        )
    )
    assert desk.do(tables.ended_with_lines) == [held.id]

    while desk.do(lambda c: line_tables.delete_lines(c, held.id, 1)):
        pass

    found = desk.found()
    assert found.counts == counts
    assert found.ended_at == LATER
    assert found.error_file_id == "file_e"
    assert desk.do(tables.ended_with_lines) == []


def test_an_ended_batch_cannot_be_cancelled_or_taken(desk: Desk) -> None:
    desk.submit()
    held = desk.take()
    problems = (InputProblem("invalid_json_line", 3, "is not JSON"),)
    assert desk.do(lambda c: tables.refuse(c, held, problems, LATER, None))

    assert not desk.do(lambda c: tables.begin_cancelling(c, held.id, NOW))
    assert desk.do(lambda c: tables.count_free(c, "another", lease_s=None)) == 0
    assert desk.found().problems == problems
    assert desk.found().state is BatchState.FAILED


def test_webhooks_that_are_due_are_found_until_they_are_told(desk: Desk) -> None:
    desk.submit()
    held = desk.take("me")
    desk.do(lambda c: tables.refuse(c, held, (), LATER, "due"))

    mine = desk.do(lambda c: tables.to_tell(c, "me", NOW, 9))
    anothers_too_early = desk.do(lambda c: tables.to_tell(c, "another", NOW, 9))
    anothers = desk.do(lambda c: tables.to_tell(c, "another", LATER + timedelta(seconds=1), 9))
    desk.do(lambda c: tables.set_told(c, held.id, "told", 1))

    assert [found.id for found in mine] == [held.id]
    assert anothers_too_early == []
    assert [found.id for found in anothers] == [held.id]
    assert desk.do(lambda c: tables.to_tell(c, "me", NOW, 9)) == []


def test_only_ended_batches_are_forgotten_and_only_in_time(desk: Desk) -> None:
    desk.submit("batch_a", kept_until=NOW)
    desk.submit("batch_b", kept_until=NOW)
    for ended in (desk.take(),):
        desk.do(lambda c, ended=ended: tables.refuse(c, ended, (), NOW, None))

    assert desk.do(lambda c: tables.delete_old(c, NOW)) == 0
    assert desk.do(lambda c: tables.delete_old(c, LATER)) == 1
    assert msgspec.structs.replace(desk.found("batch_b"), epoch=0).id == "batch_b"
