"""The benchmark's reading of answers, its arithmetic and its page."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from benchmark import chart, servers, workload
from benchmark.answers import BadAnswer, Exchange, read
from benchmark.client import http_request, percentile
from benchmark.report import OURS, PEERS, Run, Sample, insert, ratio, tables


def chunk(text: str | None = None, tokens: int | None = None) -> bytes:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}}]
    usage = None if tokens is None else {"completion_tokens": tokens}
    return b"data: " + json.dumps({"choices": choices, "usage": usage}).encode() + b"\n\n"


def sample(server: str, load: workload.Load, elapsed_s: float) -> Sample:
    client = {
        "num_requests": load.num_requests,
        "num_tokens": load.num_requests * load.max_tokens,
        "elapsed_s": elapsed_s,
        "cpu_s": 0.5,
    }
    times = ("latency", "ttft", "itl")
    client |= {f"{name}_{percent}_s": 0.01 for name in times for percent in ("p50", "p99")}
    return Sample(server, load.name, client, {"api": 1.0, "engine core": 2.0}, 4.0, 2.0)


def run_with(elapsed_s: dict[str, list[float]]) -> Run:
    samples = [
        sample(server, load, seconds)
        for load in workload.LOADS
        for server, rounds in elapsed_s.items()
        for seconds in rounds
    ]
    commands = {OURS: "hearth serve", PEERS: "vllm serve"}
    return Run(
        "2026-01-01 10:00 UTC", "abc", "bench", "2 cores", "m", commands, list(workload.LOADS), samples
    )


def test_whole_answer_is_timed_to_its_last_piece() -> None:
    body = json.dumps({"usage": {"completion_tokens": 7}}).encode()

    reading = read(Exchange(1.0, 200, [(1.5, body[:10]), (2.0, body[10:])]), stream=False)

    assert (reading.num_tokens, reading.duration, reading.gaps) == (7, 1.0, ())


def test_first_text_counts_not_the_first_event() -> None:
    """vLLM sends the role ahead of the text."""
    pieces = [
        (1.1, chunk("")),
        (1.4, chunk("a")),
        (1.6, chunk("b")),
        (1.7, chunk(tokens=2) + b"data: [DONE]\n\n"),
    ]

    reading = read(Exchange(1.0, 200, pieces), stream=True)

    assert reading.first_text == pytest.approx(0.4)
    assert reading.gaps == pytest.approx((0.2,))
    assert reading.num_tokens == 2


def test_event_in_two_pieces_has_the_time_of_the_second() -> None:
    event = chunk("a")
    pieces = [(1.1, event[:9]), (1.3, event[9:]), (1.4, chunk(tokens=1) + b"data: [DONE]\n\n")]

    assert read(Exchange(1.0, 200, pieces), stream=True).first_text == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("status", "pieces"),
    [(503, [(1.0, b"busy")]), (200, []), (200, [(1.0, chunk("a"))])],
    ids=["refused", "empty", "without [DONE]"],
)
def test_wrong_answer_voids_the_measurement(status: int, pieces: list[tuple[float, bytes]]) -> None:
    with pytest.raises(BadAnswer):
        read(Exchange(0.0, status, pieces), stream=True)


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]

    assert (percentile(values, 50), percentile(values, 99), percentile([3.0], 99)) == (50.0, 99.0, 3.0)


def test_request_carries_the_key_only_if_there_is_one() -> None:
    assert b"Authorization: Bearer k\r\n" in http_request("/p", "k", b"{}")
    assert b"Authorization" not in http_request("/p", None, b"{}")


def test_bodies_are_equal_for_both_servers_and_new_each_round() -> None:
    first, again, later = (
        workload.bodies(workload.SHORT, seed) for seed in ("round 0", "round 0", "round 1")
    )

    assert first == again
    assert len(set(first) | set(later)) == 2 * len(first)


def test_peer_gets_every_option_of_our_engine() -> None:
    flags = servers.peer_flags(Path("m"))

    assert all("--" + name.replace("_", "-") in flags for name in servers.ENGINE_OPTIONS)


def test_ratio_compares_within_rounds() -> None:
    """The second round was slow for both: the ratio does not see it."""
    compared = ratio([100.0, 10.0, 90.0], [50.0, 10.0, 30.0])

    assert (compared.median, compared.low, compared.high) == (2.0, 1.0, 3.0)


def test_foreign_cores_are_what_neither_server_nor_client_used() -> None:
    assert sample(OURS, workload.SHORT, 1.0).foreign_cores == pytest.approx(0.5)


def test_tables_tell_medians_and_ratio_with_range() -> None:
    text = tables(run_with({OURS: [10.0, 10.0, 10.0], PEERS: [20.0, 10.0, 40.0]}))

    assert "| 1 token, 32 clients, requests/s | 80.0 | 40.0 | 2.00 (1.00-4.00) |" in text


def test_page_keeps_what_is_outside_of_its_markers() -> None:
    page = "before\n<!-- bench:begin -->\n{}<!-- bench:end -->\nafter\n"

    assert insert(page.format("old\n"), "new\n", "bench") == page.format("new\n")


def test_chart_draws_a_bar_for_each_server_and_load() -> None:
    drawing = chart.render(run_with({OURS: [10.0], PEERS: [20.0]}))

    assert drawing.count('rx="3"') == 6
