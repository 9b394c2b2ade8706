"""How a preloaded model's way up is told: each change once, a long wait repeatedly."""

import datetime

from server.cli.follow import StartupFollower
from server.workers.status import BackendStatus, WorkerState


def status(state: WorkerState, detail: str | None = None, *, backend_id: str = "be_a") -> BackendStatus:
    return BackendStatus(
        backend_id=backend_id,
        state=state,
        detail=detail,
        since=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        in_flight=0,
        waiting=0,
        restarts=0,
        last_error="no such folder" if state is WorkerState.FAILED else None,
    )


def test_each_change_is_told_once_until_ready() -> None:
    said: list[str] = []
    follower = StartupFollower({"be_a": "acme/chat"}, said.append)

    settled = [
        follower.look([status(state, detail)], elapsed_s)
        for elapsed_s, state, detail in [
            (0.0, WorkerState.STOPPED, None),
            (1.0, WorkerState.LOADING, "weights"),
            (2.0, WorkerState.LOADING, "weights"),
            (3.0, WorkerState.READY, None),
        ]
    ]

    assert settled == [False, False, False, True]
    assert said == ["     1 s  acme/chat: loading: weights", "     3 s  acme/chat: ready"]


def test_long_wait_is_told_again() -> None:
    said: list[str] = []
    follower = StartupFollower({"be_a": "acme/chat"}, said.append)

    for elapsed_s in (0.0, 9.0, 10.0, 19.0, 20.0):
        follower.look([status(WorkerState.LOADING)], elapsed_s)

    assert [line.split(" s ")[0].strip() for line in said] == ["0", "10", "20"]


def test_failure_is_told_with_its_reason_and_settles() -> None:
    said: list[str] = []
    follower = StartupFollower({"be_a": "acme/chat"}, said.append)

    assert follower.look([status(WorkerState.FAILED)], 2.0)
    assert said == ["     2 s  acme/chat: failed: no such folder"]


def test_other_backends_are_not_told() -> None:
    said: list[str] = []

    assert StartupFollower({}, said.append).look([status(WorkerState.LOADING)], 0.0)
    assert said == []
