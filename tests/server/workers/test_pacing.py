"""Batches begin few at a time while clients are about."""

from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.workers.pacing import ABOUT_S, INTERVAL_S, Pace
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import make_ready, make_scheduler, tickets_granted


def test_without_clients_all_free_places_may_be_taken() -> None:
    assert Pace(48).allowance(0.0, 48) == 48


def test_with_clients_an_eighth_begins_per_interval() -> None:
    pace = Pace(48)
    pace.see_client(0.0)

    first = pace.allowance(0.0, 48)
    pace.take(first)
    at_once = pace.allowance(INTERVAL_S / 2, 42)
    later = pace.allowance(pace.next_at, 42)

    assert (first, at_once, later) == (6, 0, 6)


def test_a_client_that_left_long_ago_does_not_count() -> None:
    pace = Pace(48)
    pace.see_client(0.0)

    assert pace.allowance(ABOUT_S + 0.1, 48) == 48


def test_one_place_is_never_paced_away() -> None:
    pace = Pace(1)
    pace.see_client(0.0)

    assert pace.allowance(0.0, 1) == 1


def test_lines_that_were_held_back_begin_with_the_next_interval() -> None:
    scheduler = make_scheduler(make_spec(limits=Limits(max_concurrency=64)))
    make_ready(scheduler)
    scheduler.on_request(1.0, 1, "be_a")
    granted = [
        len(tickets_granted(scheduler.on_request(1.0, ticket, "be_a", Priority.BATCH)))
        for ticket in range(2, 42)
    ]

    wake = scheduler.next_wake()
    more = tickets_granted(scheduler.on_tick(wake or 0.0))

    assert sum(granted) == 6
    assert wake == 1.0 + INTERVAL_S
    assert len(more) == 6
