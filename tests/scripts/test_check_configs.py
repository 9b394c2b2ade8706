"""The shipped configurations are right, and what is wrong ends with status 1."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from scripts import make_schema
from scripts.check_configs import MODELS_DIR, main

SHIPPED = sorted(MODELS_DIR.glob("*.yaml")) + sorted((MODELS_DIR / "examples").glob("*.yaml"))
WRONG = "engine: vllm_chat\nmodality: chat\nfrontends: [a]\nweights: w\nlicence: MIT\ncontext_widow: 8\n"


def test_shipped_configurations_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([])

    assert status == 0
    assert "starter/chat" in capsys.readouterr().out


def test_wrong_file_ends_with_status_1_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG)

    status = main([str(tmp_path)])

    assert status == 1
    shown = capsys.readouterr().out
    assert (
        f"error: {tmp_path}/wrong.yaml: context_widow: unknown key (did you mean `context_window`?)" in shown
    )


def test_json_holds_problems_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(WRONG)
    (tmp_path / "b.yaml").write_text(WRONG.replace("context_widow", "context_window"))

    status = main(["--json", str(tmp_path)])

    report = json.loads(capsys.readouterr().out)
    assert status == 1
    assert [problem["path"] for problem in report["problems"]] == ["context_widow", "context_window"]
    assert [warning["path"] for warning in report["warnings"]] == ["weights"]
    assert list(report["backends"]) == [str(tmp_path / "b.yaml")]


def test_missing_weights_are_only_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WRONG.replace("context_widow", "context_window"))

    assert main([str(tmp_path)]) == 0


def test_published_schema_is_current() -> None:
    """If this fails: python scripts/make_schema.py"""
    published = make_schema.SCHEMA_FILE.read_text(encoding="utf-8")

    assert published == make_schema.render()


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_configuration_fits_the_schema_it_names(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    first_line = text.partition("\n")[0]

    named = file.parent / first_line.removeprefix("# yaml-language-server: $schema=")

    assert named.resolve() == make_schema.SCHEMA_FILE
    jsonschema.validate(yaml.safe_load(text), make_schema.schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [("options", {"max_modle_len": 8}), ("context_window", 0), ("weigths", "x"), ("id", "starter")],
)
def test_schema_refuses_what_the_catalog_refuses(key: str, value: object) -> None:
    content = yaml.safe_load(SHIPPED[0].read_text(encoding="utf-8")) | {key: value}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, make_schema.schema())
