"""The embedding benchmark's loads and its table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from benchmark.embed import BARE, HEARTH, PLAIN, Sample, table
from benchmark.embed_load import ALONE, LISTS, LOADS, MIXED, bodies


def sample(contestant: str, load: str, texts_per_s: float, latency_s: float) -> Sample:
    return Sample(contestant, load, texts_per_s, latency_s, latency_s, 0.001)


def test_a_load_is_the_same_for_the_same_seed_only() -> None:
    assert LISTS.requests("a") == LISTS.requests("a")
    assert LISTS.requests("a") != LISTS.requests("b")
    assert {len(texts) for texts in LISTS.requests("a")} == {8}
    assert len(bodies(LISTS.requests("a"))) == LISTS.num_requests


def test_mixed_texts_have_all_lengths() -> None:
    lengths = {len(text.split()) for texts in MIXED.requests("a") for text in texts}

    assert 6 <= min(lengths) < 12
    assert 100 < max(lengths) <= 200


def test_table_compares_within_rounds() -> None:
    samples = []
    for load in LOADS:
        for speed in (1.0, 2.0, 4.0):
            samples += [
                sample(HEARTH, load.name, 90 * speed, 0.012),
                sample(BARE, load.name, 100 * speed, 0.010),
                sample(PLAIN, load.name, 30 * speed, 0.015),
            ]

    lines = {line.split("|")[1].strip(): line for line in table(samples).splitlines()}

    alone = lines[f"{ALONE.title}: p50"]
    assert "| 12.0 ms | 10.0 ms | 15.0 ms | +2.0 ms | -3.0 ms | 1.0 / 1.0 / 1.0 |" in alone
    lists = lines[f"{LISTS.title}: texts/s"]
    assert "| 180 | 200 | 60 | 0.90 (0.90-0.90) | 3.00 (3.00-3.00) |" in lists
