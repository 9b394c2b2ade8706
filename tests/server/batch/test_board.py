"""Which lanes run: loaded backends at once, of the others one at a time."""

import pytest

from engines.contract.errors import ErrorCode
from server.batch.board import Board, lanes_to_start
from server.errors import ServiceError
from server.workers.status import WorkerState
from tests.server.batch.stages import HeldWork, ListSource, job, line, settle

READY, STOPPED, LOADING, FAILED = (
    WorkerState.READY,
    WorkerState.STOPPED,
    WorkerState.LOADING,
    WorkerState.FAILED,
)


@pytest.mark.parametrize(
    ("waiting", "running", "states", "expected"),
    [
        (["a", "b"], [], {"a": READY, "b": READY}, ["a", "b"]),
        (["a", "b"], [], {"a": STOPPED, "b": STOPPED}, ["a"]),
        (["a", "b"], ["c"], {"a": STOPPED, "b": READY, "c": LOADING}, ["b"]),
        (["a"], ["c"], {"a": STOPPED, "c": READY}, ["a"]),
        (["a"], ["c"], {"a": STOPPED, "c": FAILED}, ["a"]),
        (["a", "b"], [], {"a": FAILED, "b": STOPPED}, ["a", "b"]),
    ],
)
def test_models_are_loaded_one_after_the_other(
    waiting: list[str], running: list[str], states: dict[str, WorkerState], expected: list[str]
) -> None:
    assert lanes_to_start(waiting, running, states) == expected


class FakeBackends:
    """Model `x/y` belongs to backend `x`; only those in `states` exist."""

    def __init__(self, **states: WorkerState) -> None:
        self.states = states

    def backend_of(self, model: str) -> str:
        backend = model.partition("/")[0]
        if backend not in self.states:
            raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "no such model")
        return backend

    def state_of(self, backend_id: str) -> WorkerState:
        return self.states[backend_id]

    def batch_room(self, backend_id: str) -> int:
        return 4


async def test_a_cold_model_waits_for_the_one_that_loads() -> None:
    backends, work = FakeBackends(a=STOPPED, b=STOPPED), HeldWork()
    board = Board(backends, work)
    board.add(job(), {"a/1": ListSource(line(1)), "b/1": ListSource(line(2))})
    await settle()
    assert list(work.under_way) == [1]

    backends.states["a"] = READY
    board.choose()
    await settle()

    assert list(work.under_way) == [1, 2]
    await board.close()


async def test_lines_of_models_that_do_not_exist_are_run_at_once_to_be_refused() -> None:
    work = HeldWork()
    board = Board(FakeBackends(a=STOPPED), work)
    board.add(job(), {"a/1": ListSource(line(1)), "nobody": ListSource(line(2))})
    await settle()

    assert list(work.under_way) == [1, 2]
    await board.close()


async def test_two_models_of_one_backend_share_its_lane() -> None:
    work = HeldWork()
    board = Board(FakeBackends(a=READY), work)
    board.add(job(), {"a/1": ListSource(*map(line, range(10))), "a/2": ListSource(line(99))})
    await settle()

    assert len(work.under_way) == 8
    assert 99 in work.under_way
    await board.close()


async def test_a_lane_that_has_ended_begins_again_with_new_lines() -> None:
    work = HeldWork()
    board = Board(FakeBackends(a=READY), work)
    board.add(job(), {"a/1": ListSource(line(1))})
    await settle()
    work.end(1)
    await settle()

    board.add(job("batch_b"), {"a/1": ListSource(line(2))})
    board.choose()
    await settle()

    assert list(work.under_way) == [2]
    await board.close()
