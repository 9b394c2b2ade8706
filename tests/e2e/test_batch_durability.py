"""No acknowledged line is lost or recorded twice, whatever dies and when: short runs of scripts/prove_batches.py.

PROOF_KILLS, PROOF_POWER_CUTS and PROOF_SEED make them longer or different: the 200 kills take two and a half minutes.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from proof import disk, named_points, power_points, random_kills, report, two_servers
from proof.checker import Verdict
from proof.site import Nursery

from server.failpoints import FAILPOINTS
from tests.fakes.postgresql import BINARIES

NUM_KILLS = int(os.environ.get("PROOF_KILLS", "200"))
NUM_POWER_CUTS = int(os.environ.get("PROOF_POWER_CUTS", "8"))
SEED = int(os.environ.get("PROOF_SEED", "1"))

needs_disk = pytest.mark.skipif(
    disk.missing() is not None, reason=f"no disk for power cuts: {disk.missing()}"
)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with contextlib.closing(Nursery()) as nursery:
        yield nursery


def assert_clean(verdict: Verdict) -> None:
    assert verdict.is_clean, report.findings({f"seed {SEED}": verdict})
    assert verdict.recorded >= verdict.acknowledged > 0


def test_kills_at_random_moments_lose_nothing(nursery: Nursery, tmp_path: Path) -> None:
    """SIGKILL of the server, a worker, both; a worker stopped for a while."""
    verdict = random_kills.run(nursery, tmp_path, num_strikes=NUM_KILLS, seed=SEED)

    assert_clean(verdict)
    assert report.num_strikes(verdict) >= NUM_KILLS
    assert verdict.resumed_s[-1] < 10.0


def test_kills_at_every_named_point_lose_nothing(nursery: Nursery, tmp_path: Path) -> None:
    """Every point, the first time it is reached; scripts/prove_batches.py goes on to the last."""
    verdict = named_points.run(nursery, tmp_path, seed=SEED, cap=1)

    assert_clean(verdict)
    assert {f"at {point}" for point in FAILPOINTS} <= set(verdict.strikes)


@needs_disk
def test_power_cuts_lose_nothing(nursery: Nursery, tmp_path: Path) -> None:
    verdict = random_kills.run(nursery, tmp_path, num_strikes=NUM_POWER_CUTS, seed=SEED, with_power_cuts=True)

    assert_clean(verdict)
    assert verdict.strikes["power"] == NUM_POWER_CUTS


@needs_disk
def test_a_power_cut_at_a_sync_loses_nothing(nursery: Nursery, tmp_path: Path) -> None:
    """Every tenth sync of a first start and of two batches; scripts/prove_batches.py --long takes every one."""
    verdict = power_points.run(nursery, tmp_path, seed=SEED, every=10)

    assert_clean(verdict)
    assert verdict.strikes["at a sync"] > 5


@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL in /usr/lib/postgresql")
def test_two_servers_on_one_database_record_nothing_twice(nursery: Nursery, tmp_path: Path) -> None:
    """One of each: a server killed, a worker killed, the database crashed, a server frozen until its lease is gone."""
    verdict = two_servers.run(nursery, tmp_path, num_strikes=4, seed=SEED)

    assert_clean(verdict)
    assert {"server", "database", "freeze"} <= set(verdict.strikes)
