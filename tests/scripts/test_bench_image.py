"""The image benchmark's arithmetic, over a server and a bare call that take no time."""

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from benchmark.image import MAX_BATCH, NUM_CLIENTS, ask, measure_round, median_of


class FakeBare:
    """Each call takes 100 ms, whatever its batch."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def draw(self, num_calls: int, batch: int) -> list[float]:
        self.calls.append((num_calls, batch))
        return [0.1] * num_calls


def client(status: int = 200) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={})

    return httpx.Client(base_url="http://server", transport=httpx.MockTransport(answer))


def test_round_compares_with_the_bare_call() -> None:
    bare: Any = FakeBare()

    figures = measure_round(client(), bare, NUM_CLIENTS)

    assert figures.bare_per_s == pytest.approx(10)
    assert figures.bare_batched_per_s == pytest.approx(10 * MAX_BATCH)
    assert figures.bare_p50_ms == pytest.approx(100)
    assert figures.added_p50_ms == pytest.approx(figures.one_client_p50_ms - 100, abs=5)
    assert figures.one_client_ratio == pytest.approx(figures.one_client_per_s / 10)
    assert bare.calls == [(1, 1)] * NUM_CLIENTS + [(NUM_CLIENTS // MAX_BATCH, MAX_BATCH)]


def test_figures_are_medians_over_the_rounds() -> None:
    bare: Any = FakeBare()
    rounds = [measure_round(client(), bare, MAX_BATCH) for _ in range(3)]

    median = median_of(rounds)

    assert median["added_p50_ms"] == sorted(figures.added_p50_ms for figures in rounds)[1]


def test_refused_request_ends_the_measurement() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        ask(client(503), 0)
