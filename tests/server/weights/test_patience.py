"""How long it is waited before something is tried again."""

import pytest

from server.weights.patience import MAX_TRIES, Patience, TryAgain
from server.weights.problem import WeightsError


class Silent:
    def begin(self, size_bytes: int) -> None: ...

    def file(self, name: str, size_bytes: int) -> None: ...

    def advance(self, num_bytes: int) -> None: ...

    def say(self, text: str) -> None: ...


def test_delays_double_until_it_was_tried_often_enough() -> None:
    waited: list[float] = []
    patience = Patience(Silent(), waited.append)

    for _ in range(MAX_TRIES - 1):
        patience.wait(TryAgain("no"))

    with pytest.raises(WeightsError, match=f"no, {MAX_TRIES} times in a row"):
        patience.wait(TryAgain("no"))

    assert waited == [0.25, 0.5, 1, 2, 4, 8, 16]


def test_progress_renews_patience_and_a_hub_may_ask_for_longer() -> None:
    waited: list[float] = []
    patience = Patience(Silent(), waited.append)

    patience.wait(TryAgain("no"))
    patience.renew()
    patience.wait(TryAgain("no", after_s=60))

    assert waited == [0.25, 60]
