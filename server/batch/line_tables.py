"""Lines of batches in the store: inserted once, claimed by attempts, given one outcome. Knows no runner.

Functions take a connection, for `Database.read` and `Database.write`. The fence of a line is its attempt: only who
claimed it last can give it an outcome, and only while it has none.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, insert, select, update

from server.batch.records import Batch, Line
from server.batch.states import BatchState, Counts, Outcome
from server.store.schema import batch_lines, batches

_LINES = batch_lines.c
_LINE_COLUMNS = [_LINES[name] for name in Line.__struct_fields__]

# Built once: these two run for every line, and building them takes longer than the database does.
_OPEN = and_(
    _LINES.batch_id == bindparam("this_batch"),
    _LINES.line_no == bindparam("this_line"),
    _LINES.attempt == bindparam("this_attempt"),
    _LINES.outcome.is_(None),
)
_IS_RUNNING = exists().where(
    batches.c.id == bindparam("this_batch"),
    batches.c.epoch == bindparam("this_epoch"),
    batches.c.state == BatchState.IN_PROGRESS,
)
_CLAIM = update(batch_lines).where(_OPEN, _IS_RUNNING).values(attempt=_LINES.attempt + 1)
_RECORD = (
    update(batch_lines).where(_OPEN).values(outcome=bindparam("new_outcome"), answer=bindparam("new_answer"))
)


class Ended(NamedTuple):
    """A line with its outcome; `answer` is its line of a file, None where that follows from the outcome."""

    line_no: int
    custom_id: str
    attempt: int
    outcome: Outcome
    answer: bytes | None


def insert_lines(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """`rows` hold line_no, custom_id, model, position, start, size and batch_id."""
    connection.execute(insert(batch_lines), [{"attempt": 0, "deaths": 0} | row for row in rows])


def delete_lines(connection: Connection, batch_id: str, limit: int) -> int:
    """Delete up to `limit` lines, those with the lowest numbers; how many there were."""
    last = (
        select(_LINES.line_no)
        .where(_LINES.batch_id == batch_id)
        .order_by(_LINES.line_no)
        .limit(limit)
        .subquery()
    )
    upto = select(func.max(last.c.line_no)).scalar_subquery()
    return connection.execute(
        delete(batch_lines).where(_LINES.batch_id == batch_id, _LINES.line_no <= upto)
    ).rowcount


def open_models(connection: Connection, batch_id: str) -> dict[str, int]:
    """Models that lines without an outcome name, and how many lines each."""
    is_open = and_(_LINES.batch_id == batch_id, _LINES.outcome.is_(None))
    found = connection.execute(select(_LINES.model, func.count()).where(is_open).group_by(_LINES.model))
    return {model: number for model, number in found}


def open_lines(connection: Connection, batch_id: str, model: str, after: int, limit: int) -> list[Line]:
    """The next lines without an outcome, in order of execution; `after` is a position."""
    wanted = (
        select(*_LINE_COLUMNS)
        .where(_LINES.batch_id == batch_id, _LINES.model == model)
        .where(_LINES.position > after, _LINES.outcome.is_(None))
        .order_by(_LINES.position)
        .limit(limit)
    )
    return [Line(*row) for row in connection.execute(wanted)]


def find_line(connection: Connection, batch_id: str, line_no: int) -> Line | None:
    """The line, if it has no outcome."""
    wanted = select(*_LINE_COLUMNS).where(_is(batch_id, line_no), _LINES.outcome.is_(None))
    row = connection.execute(wanted).first()
    return None if row is None else Line(*row)


def claim(connection: Connection, batch: Batch, line: Line) -> bool:
    """Begin the line's next attempt: only of a batch in progress, by its runner, and if nobody else has begun one."""
    where = _place(line, line.attempt) | {"this_epoch": batch.epoch}
    return connection.execute(_CLAIM, where).rowcount == 1


def count_death(connection: Connection, line: Line, attempt: int) -> None:
    """The worker died while this attempt was in flight."""
    counted = update(batch_lines).where(_OPEN).values(deaths=line.deaths + 1)
    connection.execute(counted, _place(line, attempt))


def record(connection: Connection, line: Line, attempt: int, outcome: Outcome, answer: bytes | None) -> bool:
    """Give the line its outcome. False if this attempt has lost the line: nothing is changed then."""
    values = _place(line, attempt) | {"new_outcome": outcome, "new_answer": answer}
    return connection.execute(_RECORD, values).rowcount == 1


def was_recorded(connection: Connection, line: Line, attempt: int) -> bool:
    """Whether the outcome that the line has is this attempt's: settles a commit whose end is unknown."""
    mine = and_(_is(line.batch_id, line.line_no), _LINES.attempt == attempt, _LINES.outcome.is_not(None))
    return connection.execute(select(_LINES.line_no).where(mine)).first() is not None


def close_open(connection: Connection, batch_id: str, outcome: Outcome) -> int:
    """Give every line that has no outcome this one."""
    is_open = and_(_LINES.batch_id == batch_id, _LINES.outcome.is_(None))
    return connection.execute(update(batch_lines).where(is_open).values(outcome=outcome)).rowcount


def ended_lines(connection: Connection, batch_id: str, after: int, limit: int) -> list[Ended]:
    """The next lines with their outcomes, in order of the input; `after` is a line number."""
    wanted = (
        select(_LINES.line_no, _LINES.custom_id, _LINES.attempt, _LINES.outcome, _LINES.answer)
        .where(_LINES.batch_id == batch_id, _LINES.line_no > after)
        .order_by(_LINES.line_no)
        .limit(limit)
    )
    return [
        Ended(line_no, custom_id, attempt, Outcome(outcome), answer)
        for line_no, custom_id, attempt, outcome, answer in connection.execute(wanted)
    ]


def count_lines(connection: Connection, batch_id: str) -> Counts:
    counted = select(_LINES.outcome, func.count()).where(_LINES.batch_id == batch_id).group_by(_LINES.outcome)
    found: dict[str | None, int] = {outcome: number for outcome, number in connection.execute(counted)}
    ended = {outcome.value: found.get(outcome, 0) for outcome in Outcome}
    return Counts(total=sum(found.values()), **ended)


def _place(line: Line, attempt: int) -> dict[str, Any]:
    return {"this_batch": line.batch_id, "this_line": line.line_no, "this_attempt": attempt}


def _is(batch_id: str, line_no: int) -> Any:
    return and_(_LINES.batch_id == batch_id, _LINES.line_no == line_no)
