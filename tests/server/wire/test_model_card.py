"""What listings say about a model's health."""

import pytest

from server.wire.model_card import health, model_card, openai_model_card
from server.workers.status import WorkerState
from tests.fakes.fake_supervisor import backend_status
from tests.fakes.surface import backend

SPEC = backend("be_a", "a/one")


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
    card = model_card(SPEC.frontends[0], SPEC, backend_status("be_a", WorkerState.FAILED, last_error="died"))

    assert (card["active_backend_count"], card["total_backend_count"]) == (0, 1)
    assert card["last_error"] == "died"


def test_card_shows_what_the_load_is_doing() -> None:
    card = model_card(SPEC.frontends[0], SPEC, backend_status("be_a", WorkerState.LOADING, detail="weights"))

    assert (card["state"], card["state_detail"]) == ("loading", "weights")


def test_openai_card_without_an_output_limit_shows_the_context() -> None:
    unlimited = backend("be_b", "b/one", max_output_tokens=None)

    assert openai_model_card(unlimited.frontends[0], unlimited)["max_output_tokens"] == 256
