"""What listings say about a model's health."""

import pytest

from engines.contract.engine import MemoryEstimate
from server.wire.listing import Model
from server.wire.model_card import health, joint_health, model_card, openai_model_card
from server.workers.status import WorkerState
from tests.fakes.fake_supervisor import backend_status
from tests.fakes.surface import backend

SPEC = backend("be_a", "a/one")
MODEL = Model(SPEC.frontends[0], (SPEC,))
TWINS = Model(SPEC.frontends[0], (SPEC, backend("be_b", "a/one")))


@pytest.mark.parametrize(
    ("state", "last_error", "expected"),
    [
        (WorkerState.READY, None, "healthy"),
        (WorkerState.READY, "died once", "healthy"),
        (WorkerState.STOPPED, None, "healthy"),
        (WorkerState.STOPPED, "died", "degraded"),
        (WorkerState.QUEUED, None, "degraded"),
        (WorkerState.STARTING, None, "degraded"),
        (WorkerState.LOADING, "died", "degraded"),
        (WorkerState.WARMING, None, "degraded"),
        (WorkerState.FAILED, "died", "unhealthy"),
        (WorkerState.DRAINING, None, "unavailable"),
    ],
)
def test_health_follows_the_worker(state: WorkerState, last_error: str | None, expected: str) -> None:
    assert health(backend_status("be_a", state, last_error=last_error)) == expected


def test_backend_that_nobody_knows_is_unavailable() -> None:
    assert health(None) == "unavailable"


def test_failed_backend_is_not_counted_as_active() -> None:
    card = model_card(MODEL, {"be_a": backend_status("be_a", WorkerState.FAILED, last_error="died")})

    assert (card["active_backend_count"], card["total_backend_count"]) == (0, 1)
    assert card["last_error"] == "died"


def test_card_shows_what_the_load_is_doing() -> None:
    card = model_card(MODEL, {"be_a": backend_status("be_a", WorkerState.LOADING, detail="weights")})

    assert (card["state"], card["state_detail"]) == ("loading", "weights")


def test_openai_card_without_an_output_limit_shows_the_context() -> None:
    unlimited = backend("be_b", "b/one", max_output_tokens=None)

    assert openai_model_card(Model(unlimited.frontends[0], (unlimited,)))["max_output_tokens"] == 256


def test_card_of_replicas_adds_up_what_they_hold_and_shows_the_one_nearest_to_serving() -> None:
    states = {
        "be_a": backend_status("be_a", WorkerState.FAILED, last_error="died", rss_bytes=1),
        "be_b": backend_status("be_b", WorkerState.READY, rss_bytes=2),
    }

    card = model_card(TWINS, states, {"be_a": MemoryEstimate(10, 5), "be_b": MemoryEstimate(10, 5)})

    assert (card["state"], card["health_status"]) == ("ready", "degraded")
    assert (card["active_backend_count"], card["total_backend_count"]) == (1, 2)
    assert (card["memory_bytes"], card["device_memory_bytes"], card["memory_estimate_bytes"]) == (3, None, 30)
    assert card["replicas"] == [
        {"backend_id": "be_a", "state": "failed", "health_status": "unhealthy"},
        {"backend_id": "be_b", "state": "ready", "health_status": "healthy"},
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([WorkerState.READY, WorkerState.STOPPED], "healthy"),
        ([WorkerState.READY, WorkerState.FAILED], "degraded"),
        ([WorkerState.LOADING, WorkerState.FAILED], "degraded"),
        ([WorkerState.DRAINING, WorkerState.FAILED], "unavailable"),
        ([WorkerState.FAILED, WorkerState.FAILED], "unhealthy"),
    ],
)
def test_health_of_replicas_is_the_best_but_a_failure_shows(states: list[WorkerState], expected: str) -> None:
    assert joint_health([backend_status("be_a", state) for state in states]) == expected
