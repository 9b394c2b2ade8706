"""Delays after deaths, and the point where a backend is given up."""

import pytest

from server.workers.backoff import DeathRecord, RestartPolicy


def die_at(*times: float, lived_ready_s: float = 0.0, policy: RestartPolicy | None = None) -> DeathRecord:
    record = DeathRecord(policy or RestartPolicy(max_deaths=100))
    for now in times:
        record.add(now, "ended by SIGKILL", lived_ready_s=lived_ready_s)
    return record


@pytest.mark.parametrize(
    ("num_deaths", "delay_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (50, 60)]
)
def test_delay_doubles_up_to_a_minute(num_deaths: int, delay_s: float) -> None:
    record = die_at(*range(num_deaths))

    assert delay_s == record.delay_s(jitter=0.0)


def test_deaths_are_counted_for_as_long_as_they_matter_and_until_the_next_after_giving_up() -> None:
    record = die_at(0, 100, 200)

    assert [record.num_recent(now) for now in (200, 350, 600)] == [3, 2, 0]

    record = die_at(0, 1, 2)
    record.give_up()

    assert (record.num_recent(500), record.is_hopeless) == (3, False)

    record.add(600, "ended by SIGKILL", lived_ready_s=0)

    assert record.num_recent(600) == 1


@pytest.mark.parametrize(("jitter", "delay_s"), [(0.0, 4.0), (0.5, 3.6), (1.0, 3.2)])
def test_jitter_shortens_the_delay_by_up_to_a_fifth(jitter: float, delay_s: float) -> None:
    record = die_at(0, 1, 2)

    assert delay_s == pytest.approx(record.delay_s(jitter))


@pytest.mark.parametrize(
    ("times", "is_hopeless"),
    [
        ((0, 10, 20, 30), False),
        ((0, 10, 20, 30, 40), True),
        ((0, 75, 150, 225, 300), True),
        ((0, 75, 150, 225, 301), False),
        ((0, 100, 200, 300, 400, 500), False),
    ],
)
def test_five_deaths_within_five_minutes_are_hopeless(times: tuple[float, ...], is_hopeless: bool) -> None:
    record = die_at(*times, policy=RestartPolicy())

    assert is_hopeless == record.is_hopeless


def test_record_starts_anew_after_a_long_healthy_life() -> None:
    record = die_at(0, 1, 2, 3)

    record.add(650, "ended by SIGKILL", lived_ready_s=600)

    assert record.delay_s(jitter=0.0) == 1


def test_short_life_keeps_the_record() -> None:
    record = die_at(0, 1, 2, 3)

    record.add(250, "ended by SIGKILL", lived_ready_s=240)

    assert record.delay_s(jitter=0.0) == 16


def test_cleared_record_is_not_hopeless() -> None:
    record = die_at(0, 1, 2, 3, 4, policy=RestartPolicy())

    record.clear()

    assert not record.is_hopeless
