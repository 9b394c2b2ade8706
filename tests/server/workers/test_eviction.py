"""Who gives way when memory is short."""

import pytest

from server.workers.eviction import Resident, choose_victims


def resident(name: str, size_bytes: int = 10, *, idle_s: float | None = 1.0, **fields: object) -> Resident:
    return Resident(name, size_bytes, idle_s, **fields)  # type: ignore[arg-type]  # a test's


def test_nobody_gives_way_when_nothing_is_missing() -> None:
    assert choose_victims(0, [resident("a")]) == ()


@pytest.mark.parametrize(
    "residents",
    [
        [],
        [resident("busy", 99, idle_s=None)],
        [resident("pinned", 99, is_pinned=True)],
        [resident("small", 4), resident("smaller", 3)],
    ],
)
def test_without_enough_that_may_go_nobody_goes(residents: list[Resident]) -> None:
    assert choose_victims(8, residents) is None


def test_the_lowest_priority_goes_first() -> None:
    residents = [resident("low", priority=-1, return_s=500), resident("high", priority=1, return_s=1)]

    assert choose_victims(5, residents) == ("low",)


def test_of_equal_priority_the_cheapest_to_bring_back_per_byte_goes_first() -> None:
    residents = [resident("dear", 10, return_s=100), resident("cheap", 100, return_s=100)]

    assert choose_victims(5, residents) == ("cheap",)


def test_of_equal_cost_the_one_that_was_used_longest_ago_goes_first() -> None:
    residents = [resident("new", idle_s=1, return_s=5), resident("old", idle_s=90, return_s=5)]

    assert choose_victims(5, residents) == ("old",)


def test_no_more_go_than_are_needed() -> None:
    residents = [resident("a", 3, return_s=1), resident("b", 4, return_s=2), resident("c", 20, return_s=200)]

    assert choose_victims(20, residents) == ("c",)
    assert choose_victims(7, residents) == ("a", "b")


def test_a_model_that_holds_nothing_is_left_alone() -> None:
    assert choose_victims(1, [resident("empty", 0)]) is None
