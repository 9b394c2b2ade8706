"""The work of each modality's benchmark, the reading of answers, and the tables."""

import base64
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_modalities import MODALITIES, section
from benchmark import embed, image, speech, transcribe
from benchmark.answers import BadAnswer
from benchmark.comparison import Row, Side, Target, added, comparison, first_p50_ms, p50_ms, rate, same_share
from benchmark.contestants import BARE, HEARTH, Answer, Sample
from benchmark.modality import Load, Modality


def sample(contestant: str, elapsed_s: float, contents: tuple[str, ...] = ("a", "b")) -> Sample:
    """Two items under the load `alone`, half of the time each, the first byte a tenth of that later."""
    each_s = [elapsed_s / 2] * 2
    firsts_s = [elapsed_s / 20] * 2
    return Sample(
        contestant, "alone", 2, elapsed_s, each_s, firsts_s, list(contents), elapsed_s, 0.25, load_average=1.5
    )


def rounds(ours_s: list[float], theirs_s: list[float]) -> list[Sample]:
    return [sample(HEARTH, seconds) for seconds in ours_s] + [sample(BARE, seconds) for seconds in theirs_s]


def load(modality: Modality, name: str) -> Load:
    (found,) = [load for load in modality.loads if load.name == name]
    return found


@pytest.fixture(params=list(MODALITIES))
def modality(request: pytest.FixtureRequest, tmp_path: Path) -> Modality:
    (tmp_path / "long.wav").write_bytes(b"RIFF")
    made: Modality = MODALITIES[request.param].modality(tmp_path, is_quick=False)
    return made


def test_work_is_the_same_for_the_same_seed(modality: Modality) -> None:
    for each in modality.loads:
        assert each.work("a", each) == each.work("a", each)


def test_every_row_compares_loads_that_both_sides_do(modality: Modality) -> None:
    known = {(name, each.name) for each in modality.loads for name in each.contestants}

    assert {(side.contestant, side.load) for row in modality.rows for side in (row.ours, row.theirs)} <= known


def test_quick_loads_keep_all_clients_busy(modality: Modality) -> None:
    for each in modality.loads:
        quick = each.quick()
        assert quick.num_clients <= quick.num_requests <= each.num_requests


def test_bare_library_gets_the_texts_of_many_clients_in_one_call(tmp_path: Path) -> None:
    lists = load(embed.modality(tmp_path, is_quick=False), "lists")

    work = lists.work("a", lists)

    (texts,) = work.calls
    asked = [text for request in work.requests for text in json.loads(request.content)["input"]]
    assert texts == asked
    assert len(asked) == work.num_items == 8 * lists.num_requests


def test_mixed_texts_have_all_lengths(tmp_path: Path) -> None:
    mixed = load(embed.modality(tmp_path, is_quick=False), "mixed")

    (texts,) = mixed.work("a", mixed).calls

    lengths = [len(text.split()) for text in texts]  # type: ignore[attr-defined]  # a list of texts
    assert 6 <= min(lengths) < 12
    assert 100 < max(lengths) <= 200


def test_pictures_have_the_same_seeds_in_requests_and_calls(tmp_path: Path) -> None:
    batches = load(image.modality(tmp_path, is_quick=False), "batches")

    work = batches.work("a", batches)

    seeds = [json.loads(request.content)["seed"] for request in work.requests]
    assert [seeds[first : first + 8] for first in range(0, len(seeds), 8)] == work.calls


def test_passage_is_one_request_and_a_call_for_each_sentence(tmp_path: Path) -> None:
    passage = load(speech.modality(tmp_path, is_quick=False), "passage")

    work = passage.work("a", replace(passage, num_requests=1))

    (request,) = work.requests
    assert json.loads(request.content)["input"] == " ".join(text for text, _ in work.calls)  # type: ignore[misc]


def test_answers_are_read_as_the_bare_programs_tell_them() -> None:
    picture = {"data": {"data": [{"b64_json": base64.b64encode(b"png").decode()}]}}

    assert embed.read(b'{"data": [{}, {}]}') == Answer(2)
    assert image.read(json.dumps(picture).encode()) == Answer(1, hashlib.sha256(b"png").hexdigest()[:16])
    assert transcribe.read(b'{"text": " a b "}') == Answer(1, "a b")
    assert speech.read(bytes(44 + 6)) == Answer(1, "3")
    with pytest.raises(BadAnswer):
        speech.read(bytes(44))


def test_ratio_and_difference_are_taken_within_rounds() -> None:
    """The second round was slow for both: the ratio does not see it."""
    samples = rounds([1.0, 8.0, 1.0], [0.5, 8.0, 0.75])

    assert rate("alone", "").compared(samples) == [0.5, 1.0, 0.75]
    assert added("alone", "").compared(samples) == [250.0, 0.0, 125.0]


def test_table_tells_medians_range_cores_and_verdict() -> None:
    samples = rounds([1.0, 2.0, 1.0], [0.5, 2.0, 0.75])

    text = comparison([added("alone", "1 client", 3.0), rate("alone", "texts/s", 0.7)], samples)

    assert "| 1 client: answer p50, ms | 500.0 | 375.0 | +125.0 (+0.0 to +250.0) | 1.0 / 1.0 |" in text
    assert "| at most +3.0: missed |" in text
    assert "| texts/s | 2.0 | 2.7 | 0.75 (0.50 to 1.00) | 1.0 / 1.0 | at least 0.70: met |" in text


def test_a_row_may_compare_two_figures_of_one_side() -> None:
    sides = Side(HEARTH, "alone", first_p50_ms), Side(HEARTH, "alone", p50_ms)

    (share,) = Row("", *sides, Target("at most", 0.5)).compared([sample(HEARTH, 1.0)])

    assert share == pytest.approx(0.1)


def test_answers_are_compared_whatever_their_order() -> None:
    samples = [sample(HEARTH, 1.0, ("b", "a")), sample(BARE, 1.0, ("a", "c"))]

    assert same_share("alone", samples) == 0.5


def test_section_tells_how_busy_the_machine_was() -> None:
    shown = Modality("x", "Some", (), (rate("alone", "per s"),), lambda running: [], same=(("alone", "all"),))

    text = section(shown, rounds([1.0], [1.0]))

    assert text.startswith("### Some\n\n| Load | Hearth |")
    assert "- Same on both sides: 100% of all." in text
    assert "Load average 1.5 to 1.5" in text
