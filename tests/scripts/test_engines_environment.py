"""Runs the tests of the training scripts where torch is."""

from pathlib import Path

import pytest

from tests.engines.in_engines import run_tests
from tests.engines.running_worker import ROOT

TRAINING = sorted((ROOT / "tests/scripts").glob("test_train_starter_*.py"))


@pytest.mark.engines
@pytest.mark.parametrize("tests", TRAINING, ids=lambda file: file.stem)
def test_training_of_the_starter_models(tests: Path) -> None:
    output = run_tests(tests)

    assert " passed" in output
    skipped = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert [line for line in skipped if "needs espeak-ng" not in line] == []
