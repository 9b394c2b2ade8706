"""What `hearth doctor` prints and how it ends."""

import json
from pathlib import Path

from tests.server.cli.conftest import Hearth


def test_each_problem_has_its_fix_and_the_status_is_1(hearth: Hearth, tmp_path: Path) -> None:
    result = hearth("doctor", models_dir=str(tmp_path / "none"), port="0")

    assert result.exit_code == 1
    assert (
        f"problem  models_dir: {tmp_path}/none is not a folder\n         mkdir -p {tmp_path}/none\n"
        in result.stdout
    )


def test_findings_as_json(hearth: Hearth, tmp_path: Path) -> None:
    found = json.loads(hearth("doctor", "--json", "--no-imports", port="0").stdout)

    assert {"system", "memory", "processor", "clock", "store", "address", "engines"} <= {
        item["check"] for item in found
    }
    assert {item["verdict"] for item in found} <= {"ok", "warning", "problem"}
    assert all((item["fix"] is None) == (item["verdict"] == "ok") for item in found)
