"""The durability rig on a tiny server: it finds nothing where nothing is wrong, and every fault there is."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from proof import disk, random_kills
from proof.checker import Verdict
from proof.site import Nursery

FAKE = [sys.executable, "-m", "tests.fakes.fake_batch_server"]
needs_disk = pytest.mark.skipif(disk.missing() is not None, reason=f"no disk: {disk.missing()}")


def strike(folder: Path, fault: str, num_strikes: int, *, with_power_cuts: bool = False) -> Verdict:
    with contextlib.closing(Nursery(FAKE)) as nursery:
        return random_kills.run(
            nursery,
            folder,
            num_strikes=num_strikes,
            seed=1,
            with_power_cuts=with_power_cuts,
            settings={"fault": fault},
        )


def test_a_correct_server_is_found_correct(tmp_path: Path) -> None:
    verdict = strike(tmp_path, "", 5)

    assert verdict.findings == []
    assert verdict.recorded == verdict.attempted > 100
    assert verdict.strikes.total() >= 5


def test_a_batch_acknowledged_too_early_is_found_lost(tmp_path: Path) -> None:
    assert strike(tmp_path, "early", 5).lost > 0


def test_a_line_written_again_after_a_restart_is_found_doubled(tmp_path: Path) -> None:
    assert strike(tmp_path, "doubles", 3).duplicated > 0


def test_results_that_change_with_a_restart_are_found(tmp_path: Path) -> None:
    assert strike(tmp_path, "rewrites", 1).changed_later > 0


@needs_disk
def test_a_synced_store_survives_power_cuts(tmp_path: Path) -> None:
    verdict = strike(tmp_path, "", 4, with_power_cuts=True)

    assert verdict.findings == []
    assert verdict.strikes["power"] == 4


@needs_disk
def test_an_unsynced_store_is_found_out_by_a_power_cut_only(tmp_path: Path) -> None:
    killed = strike(tmp_path / "killed", "unsynced", 4)
    cut = strike(tmp_path / "cut", "unsynced", 4, with_power_cuts=True)

    assert killed.is_clean
    assert not cut.is_clean
