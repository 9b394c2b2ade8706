"""Batches in the store: every change is one transaction's work, conditional on what it presumes. Knows no runner.

Functions take a connection, for `Database.read` and `Database.write`. An `epoch` is the right of one runner to a batch:
it grows when another one takes the batch over, and whatever still comes of the old one is refused.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from server.batch.input_check import InputProblem
from server.batch.records import Batch, read_batch
from server.batch.states import ACTIVE, CANCELLABLE, ENDED, BatchState, Counts
from server.store.schema import batch_lines, batches


def insert_batch(connection: Connection, batch: Batch) -> None:
    fields = msgspec.structs.asdict(batch)
    counts = msgspec.structs.asdict(fields.pop("counts"))
    problems = msgspec.to_builtins(fields.pop("problems")) or None
    connection.execute(insert(batches).values(**fields, **counts, problems=problems))


def find_batch(connection: Connection, batch_id: str) -> Batch | None:
    row = connection.execute(select(batches).where(batches.c.id == batch_id)).mappings().first()
    return None if row is None else read_batch(row, _open_counts(connection, [batch_id]).get(batch_id, {}))


def list_batches(
    connection: Connection,
    owner: str,
    *,
    states: Collection[BatchState],
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Batch]:
    """The newest first; `after` is the time and id of the last one that was seen."""
    wanted = select(batches).where(batches.c.owner == owner)
    if states:
        wanted = wanted.where(batches.c.state.in_(states))
    if after is not None:
        created_at, batch_id = after
        is_same_time = and_(batches.c.created_at == created_at, batches.c.id < batch_id)
        wanted = wanted.where(or_(batches.c.created_at < created_at, is_same_time))
    wanted = wanted.order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(limit)
    rows = connection.execute(wanted).mappings().all()
    counts = _open_counts(connection, [row["id"] for row in rows if row["state"] in ACTIVE])
    return [read_batch(row, counts.get(row["id"], {})) for row in rows]


def count_active(connection: Connection, owner: str) -> int:
    active = and_(batches.c.owner == owner, batches.c.state.in_(ACTIVE))
    return connection.execute(select(func.count()).where(active)).scalar_one()


def count_by_state(connection: Connection) -> dict[str, int]:
    found = connection.execute(select(batches.c.state, func.count()).group_by(batches.c.state))
    return {state: number for state, number in found}


def begin_cancelling(connection: Connection, batch_id: str, now: datetime) -> bool:
    """False if it is too late for that, or was said before."""
    is_open = and_(batches.c.id == batch_id, batches.c.state.in_(CANCELLABLE))
    changed = update(batches).where(is_open).values(state=BatchState.CANCELLING, cancelling_at=now)
    return connection.execute(changed).rowcount == 1


def begin(connection: Connection, batch: Batch, *, total: int, now: datetime) -> bool:
    """From `validating` to `in_progress`: all its lines are in the store."""
    changes = {"state": BatchState.IN_PROGRESS, "total": total, "started_at": now, "resumed_at": now}
    return _change(connection, batch, {BatchState.VALIDATING}, changes)


def refuse(
    connection: Connection, batch: Batch, problems: Sequence[InputProblem], now: datetime, told: str | None
) -> bool:
    """From `validating` to `failed`: the input cannot be used."""
    changes = {"state": BatchState.FAILED, "problems": msgspec.to_builtins(problems), "ended_at": now}
    return _change(connection, batch, {BatchState.VALIDATING}, changes | {"webhook_state": told})


def begin_finalizing(connection: Connection, batch: Batch, now: datetime) -> bool:
    changes = {"state": BatchState.FINALIZING, "finalizing_at": now}
    return _change(connection, batch, {BatchState.IN_PROGRESS}, changes)


def end(
    connection: Connection,
    batch: Batch,
    state: BatchState,
    counts: Counts,
    *,
    files: tuple[str | None, str | None],
    now: datetime,
    told: str | None,
) -> bool:
    """The last change of a batch. `files` are the ids of its output and its error file."""
    changes: dict[str, Any] = {"state": state, "ended_at": now, "webhook_state": told}
    changes |= msgspec.structs.asdict(counts)
    changes |= {"output_file_id": files[0], "error_file_id": files[1]}
    return _change(connection, batch, {BatchState.FINALIZING, BatchState.CANCELLING}, changes)


def is_held(connection: Connection, batch: Batch) -> bool:
    """Whether the runner of `batch.epoch` still has it. Nobody can take it before this transaction ends."""
    held = select(batches.c.id).where(_of_runner(batch)).with_for_update()
    return connection.execute(held).first() is not None


def take_over(connection: Connection, runner: str, *, lease_s: float | None, now: datetime) -> list[str]:
    """Make `runner` the holder of every active batch that nobody holds; their ids.

    `lease_s` None: this server has the store for itself, so whoever held a batch is dead. Else a batch is free when its
    lease has run out by the clock of the database, which no jump of a server's clock can change.
    """
    free = select(batches.c.id).where(_is_free(runner, lease_s))
    ids = list(connection.execute(free.with_for_update(skip_locked=True)).scalars())
    done = _open_counts(connection, ids)
    for batch_id in ids:
        changes: dict[str, Any] = {"runner": runner, "epoch": batches.c.epoch + 1, "resumed_at": now}
        changes["resumed_done"] = sum(done.get(batch_id, {}).values())
        if lease_s is not None:
            changes["lease_until"] = _lease_end(lease_s)
        connection.execute(update(batches).where(batches.c.id == batch_id).values(changes))
    return ids


def renew(connection: Connection, runner: str, *, lease_s: float | None) -> dict[str, tuple[BatchState, int]]:
    """Keep what `runner` holds; state and epoch of every active batch of it, as they are now."""
    if lease_s is not None:
        mine = _is_held_by(runner)
        connection.execute(update(batches).where(mine).values(lease_until=_lease_end(lease_s)))
    return held(connection, runner)


def held(connection: Connection, runner: str) -> dict[str, tuple[BatchState, int]]:
    """State and epoch of every active batch of `runner`."""
    wanted = select(batches.c.id, batches.c.state, batches.c.epoch).where(_is_held_by(runner))
    return {batch_id: (BatchState(state), epoch) for batch_id, state, epoch in connection.execute(wanted)}


def count_free(connection: Connection, runner: str, *, lease_s: float | None) -> int:
    """Active batches that `take_over` would take."""
    return connection.execute(select(func.count()).where(_is_free(runner, lease_s))).scalar_one()


def release(connection: Connection, runner: str) -> None:
    """A server that ends gives its batches away at once."""
    freed = update(batches).where(_is_held_by(runner)).values(runner=None, lease_until=None)
    connection.execute(freed)


def to_tell(connection: Connection, runner: str, before: datetime, limit: int) -> list[Batch]:
    """Ended batches whose webhook is due: this runner's own, and those that nobody has told since `before`."""
    due = and_(batches.c.webhook_state == "due", or_(batches.c.runner == runner, batches.c.ended_at < before))
    rows = connection.execute(select(batches).where(due).order_by(batches.c.ended_at).limit(limit)).mappings()
    return [read_batch(row, {}) for row in rows]


def set_told(connection: Connection, batch_id: str, state: str, attempts: int) -> None:
    changes = {"webhook_state": state, "webhook_attempts": attempts}
    connection.execute(update(batches).where(batches.c.id == batch_id).values(changes))


def delete_old(connection: Connection, now: datetime) -> int:
    """Forget batches that are kept no longer, with their lines."""
    is_old = and_(batches.c.state.in_(ENDED), batches.c.kept_until < now)
    old = list(connection.execute(select(batches.c.id).where(is_old)).scalars())
    connection.execute(delete(batch_lines).where(batch_lines.c.batch_id.in_(old)))
    connection.execute(delete(batches).where(batches.c.id.in_(old)))
    return len(old)


def ended_with_lines(connection: Connection) -> list[str]:
    """Batches whose files are published and whose rows are therefore not needed any more."""
    has_lines = exists().where(batch_lines.c.batch_id == batches.c.id)
    return list(
        connection.execute(select(batches.c.id).where(batches.c.state.in_(ENDED), has_lines)).scalars()
    )


def _is_free(runner: str, lease_s: float | None) -> ColumnElement[bool]:
    is_anothers: ColumnElement[bool] = batches.c.runner != runner
    if lease_s is not None:
        is_anothers = batches.c.lease_until < func.clock_timestamp()
    return and_(batches.c.state.in_(ACTIVE), or_(batches.c.runner.is_(None), is_anothers))


def _is_held_by(runner: str) -> ColumnElement[bool]:
    return and_(batches.c.runner == runner, batches.c.state.in_(ACTIVE))


def _of_runner(batch: Batch) -> ColumnElement[bool]:
    return and_(batches.c.id == batch.id, batches.c.epoch == batch.epoch)


def _change(
    connection: Connection, batch: Batch, states: Collection[BatchState], changes: dict[str, Any]
) -> bool:
    """Whether the batch was still this runner's, and in one of `states`."""
    changed = update(batches).where(_of_runner(batch), batches.c.state.in_(states)).values(changes)
    return connection.execute(changed).rowcount == 1


def _open_counts(connection: Connection, batch_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Outcomes of the lines of each batch; lines without one are not counted."""
    lines = batch_lines.c
    counted = (
        select(lines.batch_id, lines.outcome, func.count())
        .where(lines.batch_id.in_(list(batch_ids)), lines.outcome.is_not(None))
        .group_by(lines.batch_id, lines.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for batch_id, outcome, number in connection.execute(counted):
        found.setdefault(batch_id, {})[outcome] = number
    return found


def _lease_end(lease_s: float) -> ColumnElement[Any]:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, lease_s)
