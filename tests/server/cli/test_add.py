"""`hearth add` and `hearth verify` over folders on disk: the models that come with Hearth, and damaged ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from server.catalog import read_catalog
from server.weights.model_lock import read_lock
from tests.server.cli.conftest import Hearth
from tests.server.weights.models import chat_model, write

STARTERS = Path(__file__).resolve().parents[3] / "model_configs"
Run = Callable[..., Result]


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    return folder


@pytest.fixture
def run(hearth: Hearth, configs: Path) -> Run:
    return lambda *arguments: hearth(*arguments, models_dir=str(configs))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny", chat_model())


@pytest.mark.parametrize("kind", ["chat", "embed", "image", "rerank", "speech", "transcribe"])
def test_starter_model_gets_the_engine_that_it_comes_with(
    run: Run, tmp_path: Path, configs: Path, kind: str
) -> None:
    folder = tmp_path / kind
    shutil.copytree(STARTERS / "starter" / kind, folder)
    shipped = read_catalog(STARTERS).backends[f"be_starter_{kind}"]

    result = run("add", str(folder), "--name", f"starter/{kind}", "--allow", "model.pth")

    assert result.exit_code == 0, result.stderr
    added = read_catalog(configs).backends[f"be_starter_{kind}"]
    assert (added.engine, added.modality, added.licence.lower()) == (
        shipped.engine,
        shipped.modality,
        "apache-2.0",
    )
    assert (added.context_window, added.allowed_files) == (shipped.context_window, shipped.allowed_files)
    assert added.options.get("tool_parser") == shipped.options.get("tool_parser")
    assert added.options.get("reasoning_parser") == shipped.options.get("reasoning_parser")
    assert added.options.get("default_thinking") == shipped.options.get("default_thinking")
    assert added.options.get("sizes") == shipped.options.get("sizes")
    assert run("verify", f"starter/{kind}").exit_code == 0


def test_pickle_must_be_allowed_by_name(run: Run, tmp_path: Path, configs: Path) -> None:
    shutil.copytree(STARTERS / "starter/speech", tmp_path / "speech")

    result = run("add", str(tmp_path / "speech"))

    assert result.exit_code == 1
    assert "model.pth is of a kind that can run code when it is read; name it with --allow" in result.stderr
    assert list(configs.iterdir()) == []


def test_name_is_the_folders_in_small_letters(run: Run, model: Path, configs: Path) -> None:
    big = model.rename(model.with_name("My Model"))

    assert run("add", str(big)).exit_code == 0
    assert read_catalog(configs).backends["be_my_model"].frontends[0].slug == "my-model"


def test_name_that_is_taken_by_another_file_is_refused(run: Run, model: Path, configs: Path) -> None:
    run("add", str(model))
    (configs / "tiny.yaml").rename(configs / "other.yaml")

    result = run("add", str(model))

    assert "`tiny` is already taken" in result.stderr


def test_cut_weights_are_refused(run: Run, model: Path) -> None:
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-1])

    assert "where its header says" in run("add", str(model)).stderr
    assert read_lock(model) is None


def test_lock_of_an_earlier_time_is_not_written_anew_over_altered_weights(run: Run, model: Path) -> None:
    run("add", str(model))
    (model / "LICENSE").write_text("mine\n")

    assert "is not what its model.lock says" in run("add", str(model), "--force").stderr


def test_verify_tells_every_difference(run: Run, model: Path) -> None:
    run("add", str(model))
    (model / "tokenizer.json").unlink()
    (model / "LICENSE").write_text("Apach\n")
    (model / "README.md").write_bytes(bytes(len((model / "README.md").read_bytes())))
    (model / "evil.py").touch()
    with (model / "config.json").open("a") as file:
        file.write(" ")

    result = run("verify", "--json")

    (verdict,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {item["path"]: item["kind"] for item in verdict["differences"]} == {
        "tokenizer.json": "missing",
        "LICENSE": "truncated",
        "README.md": "altered",
        "evil.py": "extra",
        "config.json": "longer",
    }
    assert "truncated LICENSE (6 of 7 bytes)" in run("verify", "tiny").stdout


def test_verify_of_models_without_a_lock_says_how_to_make_one(run: Run, model: Path) -> None:
    run("add", str(model))
    (model / "model.lock").unlink()

    every, named = run("verify", "all"), run("verify", "tiny")

    assert (every.exit_code, named.exit_code) == (0, 1)
    assert "no model.lock in" in every.stdout


def test_verify_of_weights_that_are_gone_fails(run: Run, model: Path) -> None:
    run("add", str(model))
    lock = (model / "model.lock").read_bytes()
    shutil.rmtree(model)
    write(model, {"model.lock": lock})

    result = run("verify")

    assert result.exit_code == 1
    assert "missing   model.safetensors" in result.stdout


def test_verify_of_an_unknown_model_names_those_there_are(run: Run, model: Path) -> None:
    run("add", str(model))

    assert "there are: tiny" in run("verify", "tidy").stderr


def test_lock_that_leads_out_of_its_folder_is_a_fault(run: Run, model: Path) -> None:
    run("add", str(model))
    lock = (model / "model.lock").read_text()
    (model / "model.lock").write_text(lock.replace("README.md", "../README.md"))

    assert "names files outside its folder" in run("verify").stdout


def test_unreadable_lock_is_a_fault(run: Run, model: Path) -> None:
    run("add", str(model))
    (model / "model.lock").write_text("{")

    result = run("verify")

    assert result.exit_code == 1
    assert "model.lock cannot be read" in result.stdout
