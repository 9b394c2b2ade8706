"""How batches end and how lines are counted."""

import pytest

from server.batch.states import ACTIVE, CANCELLABLE, ENDED, BatchState, Counts, state_after


def test_every_state_is_active_or_ended() -> None:
    assert set(BatchState) == ACTIVE | ENDED
    assert not ACTIVE & ENDED
    assert CANCELLABLE < ACTIVE


def test_counts_sum_to_the_total() -> None:
    counts = Counts(total=10, completed=3, failed=2, cancelled=1, expired=1)

    assert counts.done == 7
    assert counts.pending == 3


@pytest.mark.parametrize(
    ("state", "counts", "expected"),
    [
        (BatchState.FINALIZING, Counts(2, completed=2), BatchState.COMPLETED),
        (BatchState.FINALIZING, Counts(2, failed=2), BatchState.COMPLETED),
        (BatchState.FINALIZING, Counts(2, completed=1, expired=1), BatchState.EXPIRED),
        (BatchState.CANCELLING, Counts(2, completed=2), BatchState.CANCELLED),
        (BatchState.CANCELLING, Counts(), BatchState.CANCELLED),
    ],
)
def test_the_end_follows_from_state_and_counts(
    state: BatchState, counts: Counts, expected: BatchState
) -> None:
    assert state_after(state, counts) is expected
