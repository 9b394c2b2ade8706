"""Five models on the memory of two, hammered for half a minute; with real models `scripts/hammer.py` does it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from hammering import running
from hammering.judging import Verdict, mib
from hammering.questions import questions
from proof.site import HEARTH, Nursery, Site
from proof.site import running as running_site

SECONDS = 25.0
BALLAST_MIB = 100
NAMES = tuple(f"fake/{letter}" for letter in "abcde")


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    nursery = Nursery(HEARTH)
    site = Site(nursery, tmp_path_factory.mktemp("hammer") / "site", **running.SERVER_SETTINGS)
    for name in NAMES:
        site.add_backend(name, 0.01, ballast_mib=BALLAST_MIB)
    plan = running.Plan(
        {name: questions("chat", name) for name in NAMES},
        SECONDS,
        seed=1,
        num_clients=12,
        killed_after_s=4.0,
        is_short=True,
    )
    with running_site(site):
        try:
            return running.run(site, plan)
        finally:
            nursery.close()


def test_nothing_fails_and_memory_stays_within_the_budget(verdict: Verdict) -> None:
    assert verdict.findings == []


def test_every_model_answered_though_only_two_are_loaded_together(verdict: Verdict) -> None:
    assert set(verdict.tally.answered) == set(NAMES)
    assert 2 * BALLAST_MIB < mib(verdict.budget_bytes) < 3 * BALLAST_MIB
    assert len(verdict.evictions) >= 3


def test_it_was_looked_at_four_times_a_second_and_nothing_is_left(verdict: Verdict) -> None:
    assert len(verdict.samples) / verdict.seconds > 4
    assert max(sample.total_bytes for sample in verdict.samples) > 2 * BALLAST_MIB * 1024**2
    assert verdict.left_over == {"SIGTERM": [], "SIGKILL": []}


def test_requests_that_must_be_refused_were(verdict: Verdict) -> None:
    assert any(code.startswith("404 MODEL_NOT_FOUND") for code in verdict.tally.codes)
    assert verdict.tally.cancelled > 0
