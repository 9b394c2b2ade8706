"""The benchmark of batches: its arithmetic, its arrivals and its tables."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import bench_batches
from benchmark import batch_beside, batch_overhead, batch_prefix, report
from benchmark.open_loop import arrivals

FIGURES = {"ttft_p50_s": 0.02, "ttft_p99_s": 0.1, "itl_p50_s": 0.01, "itl_p99_s": 0.05}


def overhead(rss_mib: list[float], num_lines: int = 10_000) -> batch_overhead.Round:
    return batch_overhead.Round(num_lines, 10.0, 5.0, {"api": 0.8}, {"api": 0.4}, 500, rss_mib, 1.0)


def beside(ttft_p99_s: float, rate: float) -> batch_beside.Round:
    return batch_beside.Round(FIGURES, FIGURES | {"ttft_p99_s": ttft_p99_s}, 100.0, rate, 1.0)


def test_arrivals_come_at_their_rate_and_the_same_for_the_same_seed() -> None:
    times = arrivals(1000, 4.0, "seed")

    assert times == sorted(times)
    assert times[-1] == pytest.approx(250.0, rel=0.1)
    assert times == arrivals(1000, 4.0, "seed")
    assert times != arrivals(1000, 4.0, "other")


def test_slope_leaves_out_the_first_fifth() -> None:
    """The warming up of the first fifth counts for nothing; then it grows by 1 MiB a sample, 40 in 10,000 lines."""
    rss_mib = [0.0] * 8 + [100.0 + number for number in range(32)]

    assert batch_overhead.slope(overhead(rss_mib)) == pytest.approx(40.0)
    assert batch_overhead.slope(overhead([100.0] * 40)) == 0.0


def test_the_cost_of_a_line_is_what_it_takes_more_than_online() -> None:
    section = batch_overhead.section([overhead([100.0, 110.0])])

    assert "| lines/s | 1,000 (1,000-1,000) | 2,000 (2,000-2,000) | 0.50 (0.50-0.50) |" in section
    assert "added 0.50" in section
    assert "| commits/s | 50 (50-50) |" in section


@pytest.mark.parametrize(
    ("ttft_p99_s", "rate", "expected"),
    [(0.17, 90.0, ["175.0: met", "0.7: met"]), (0.18, 60.0, ["175.0: missed", "0.7: missed"])],
)
def test_a_first_token_is_allowed_a_quarter_and_a_step(
    ttft_p99_s: float, rate: float, expected: list[str]
) -> None:
    section = batch_beside.section([beside(ttft_p99_s, rate)])

    for verdict in expected:
        assert verdict in section


def test_lines_of_one_prefix_are_shuffled_among_the_others() -> None:
    bodies = batch_prefix._bodies("seed", 4)
    prefixes = [body.split(b'"content": "')[1][:9] for body in bodies]

    assert len(bodies) == 4 * batch_prefix.NUM_PREFIXES
    assert len(set(prefixes)) == batch_prefix.NUM_PREFIXES
    assert prefixes != sorted(prefixes)


def test_the_page_has_the_parts_that_are_written() -> None:
    page = bench_batches.PAGE.read_text(encoding="utf-8")

    assert "<!-- proof:end -->" in report.insert(page, "x\n", bench_batches.PART)
    assert report.insert(page, "x\n", "proof")


def test_a_part_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_batches.main(["--only", "overhead,none"])

    assert "no such part: none" in capsys.readouterr().err
