"""Sequences of events in any order through scheduler, ledger, ladder and eviction, and what must hold after each.

`HEARTH_WALKS=10000 pytest tests/server/workers/test_memory_walk.py` is the long run.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.workers.world import BACKENDS, KINDS, Event, World

NUM_WALKS = int(os.environ.get("HEARTH_WALKS", "300"))
EVENTS = st.builds(
    Event,
    st.sampled_from((0.0, 0.1, 1.0, 15.0, 40.0)),
    st.sampled_from(KINDS),
    st.sampled_from(BACKENDS),
    st.integers(0, 9),
)
DURATIONS = st.sampled_from((-1, 0, 10))


@settings(
    max_examples=NUM_WALKS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
@given(
    st.lists(EVENTS, min_size=40, max_size=100),
    DURATIONS,
    DURATIONS,
    st.none() | st.integers(0, len(BACKENDS) - 1),
)
def test_every_sequence_of_events_keeps_every_invariant(
    events: list[Event], keep_alive: int, sleep_for: int, pinned: int | None
) -> None:
    world = World(keep_alive, sleep_for, pinned)

    for event in events:
        world.happen(event)
    world.settle()
