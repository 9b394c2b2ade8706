"""Who goes when models hold more of a device than they may."""

import random

from server.workers.pressure import FAR_SHARE, Relief, Tenant, relieve

GIB = 1024**3


def tenant(
    name: str,
    held: float,
    granted: float | None = None,
    *,
    idle_s: float | None = 10.0,
    is_pinned: bool = False,
    priority: int = 0,
) -> Tenant:
    """Sizes in GiB; without a grant it keeps to it."""
    grant = held if granted is None else granted
    return Tenant(name, int(held * GIB), int(grant * GIB), idle_s, is_pinned=is_pinned, priority=priority)


def relief(budget: float, *tenants: Tenant, leaving: float = 0.0, loading: float = 0.0) -> Relief:
    used = sum(t.held_bytes for t in tenants) + int((leaving + loading) * GIB)
    return relieve(used, int(leaving * GIB), int(budget * GIB), tenants)


def test_nothing_is_done_within_the_budget_whoever_grew() -> None:
    assert relief(10, tenant("a", 8, 2), tenant("b", 2)) == Relief()


def test_what_leaves_by_itself_is_waited_for() -> None:
    assert relief(10, tenant("a", 8), leaving=4) == Relief()


def test_idle_model_that_grew_is_restarted_and_no_other_goes() -> None:
    assert relief(10, tenant("grown", 6, 3), tenant("b", 3), tenant("c", 3)) == Relief(restart=("grown",))


def test_pinned_model_that_grew_is_restarted_too() -> None:
    assert relief(10, tenant("grown", 9, 3, is_pinned=True), tenant("b", 2)) == Relief(restart=("grown",))


def test_busy_model_that_grew_stays_while_idle_ones_make_room() -> None:
    found = relief(10, tenant("grown", 7, 3, idle_s=None), tenant("b", 2), tenant("c", 2, priority=1))

    assert found == Relief(evict=("b",))


def test_busy_model_that_grew_is_told_when_others_are_not_enough() -> None:
    found = relief(10, tenant("grown", 11, 3, idle_s=None), tenant("b", 2), tenant("kept", 1, is_pinned=True))

    assert found == Relief(evict=("b",), warn=("grown",))


def test_far_beyond_the_budget_the_one_that_took_most_is_killed() -> None:
    tenants = [tenant("most", 9, 3, idle_s=None), tenant("more", 6, 3, idle_s=None)]

    assert relief(10, *tenants) == Relief(kill=("most",), warn=("more",))
    assert relief(15 / (1 + FAR_SHARE), *tenants) == Relief(warn=("most", "more"))


def test_a_little_more_than_granted_is_no_growth() -> None:
    """Allocators keep some, and grants are reckoned: who is in use and within a tenth is nobody's culprit."""
    assert relief(10, tenant("a", 8.5, 8, idle_s=None), tenant("b", 2)) == Relief(evict=("b",))


def test_whatever_happens_busy_models_that_keep_to_their_grants_stay() -> None:
    drawn = random.Random(3)
    for _ in range(3000):
        tenants = [
            tenant(
                f"m{number}",
                drawn.uniform(0, 8),
                drawn.choice([None, drawn.uniform(0, 8)]),
                idle_s=drawn.choice([None, drawn.uniform(0, 100)]),
                is_pinned=drawn.random() < 0.2,
            )
            for number in range(drawn.randrange(6))
        ]
        found = relief(
            drawn.uniform(1, 20), *tenants, leaving=drawn.uniform(0, 3), loading=drawn.uniform(0, 3)
        )

        by_id = {t.backend_id: t for t in tenants}
        chosen = [*found.restart, *found.evict, *found.warn, *found.kill]
        assert len(chosen) == len(set(chosen))
        assert all(by_id[name].is_overgrown for name in (*found.restart, *found.warn, *found.kill))
        assert all(by_id[name].idle_s is not None for name in (*found.restart, *found.evict))
        assert not any(by_id[name].is_pinned for name in found.evict)
