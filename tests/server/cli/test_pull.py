"""`hearth pull` against a hub over real HTTP: what lies where afterwards, and what a fault leads to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from server.catalog import read_catalog
from server.weights.model_lock import read_lock
from tests.fakes.hub import COMMIT, FakeHub, FakeModel, Fault, running_hub
from tests.server.cli.conftest import Hearth
from tests.server.weights.models import as_json, chat_model, safetensors

MODEL = "Acme/Tiny-Chat"
WEIGHTS = "model.safetensors"
ROOT = Path(__file__).resolve().parents[3]
Pull = Callable[..., Result]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as found:
        found.models[MODEL] = FakeModel(chat_model(200_000), card={"license": "apache-2.0"})
        yield found


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    return folder


@pytest.fixture
def pull(hearth: Hearth, hub: FakeHub, configs: Path) -> Pull:
    def run(*arguments: str, model: str = MODEL) -> Result:
        given = ("pull", model, "--endpoint", hub.endpoint, "--yes", *arguments)
        return hearth(*given, models_dir=str(configs), min_free_bytes="0")

    return run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return tmp_path / "data/models" / MODEL / COMMIT


def test_model_lies_under_its_commit_with_a_lock_of_every_file(
    pull: Pull, hub: FakeHub, weights: Path
) -> None:
    result = pull()

    lock = read_lock(weights)
    assert result.exit_code == 0, result.stderr
    assert lock is not None
    assert (lock.model, lock.commit, lock.licence) == (MODEL, COMMIT, "apache-2.0")
    assert {file.path: file.size for file in lock.files} == {
        name: len(content) for name, content in hub.models[MODEL].files.items() if name != ".gitattributes"
    }
    assert (weights / WEIGHTS).read_bytes() == hub.models[MODEL].files[WEIGHTS]
    assert sorted(path.name for path in weights.iterdir() if path.name.startswith(".")) == []


def test_written_file_is_one_that_the_server_takes(pull: Pull, configs: Path, weights: Path) -> None:
    pull()

    spec = read_catalog(configs).backends["be_acme_tiny_chat"]
    assert (spec.engine, spec.frontends[0].slug, spec.context_window) == (
        "vllm_chat",
        "acme/tiny-chat",
        32768,
    )
    assert (spec.weights, spec.licence) == (str(weights), "apache-2.0")
    assert spec.options == {"tool_parser": "hermes", "reasoning_parser": "qwen3"}
    assert "# the model can do 40960" in (configs / "acme-tiny-chat.yaml").read_text()


def test_plan_is_shown_before_anything_is_fetched(
    pull: Pull, hearth: Hearth, hub: FakeHub, configs: Path
) -> None:
    result = hearth("pull", MODEL, "--endpoint", hub.endpoint, models_dir=str(configs))

    assert result.exit_code == 1
    assert f"{MODEL} at commit {COMMIT}" in result.stdout
    assert "chat with tools, thinking, on vLLM" in result.stdout
    assert "give --yes" in result.stderr
    assert hub.ranges(WEIGHTS) == []


def test_json_tells_where_everything_is(pull: Pull, configs: Path, weights: Path) -> None:
    told = json.loads(pull("--json", "--name", "mine").stdout)

    assert told["slug"] == "mine"
    assert (told["config"], told["weights"]) == (str(configs / "mine.yaml"), str(weights))


def test_second_pull_fetches_nothing_and_keeps_the_file(pull: Pull, hub: FakeHub, configs: Path) -> None:
    pull()
    with (configs / "acme-tiny-chat.yaml").open("a") as file:
        file.write("# mine\n")

    result = pull()

    assert result.exit_code == 0
    assert "kept as it is" in result.stdout
    assert hub.ranges(WEIGHTS) == [None]
    assert "# mine" in (configs / "acme-tiny-chat.yaml").read_text()


def test_file_of_another_model_is_not_overwritten_without_force(
    pull: Pull, hub: FakeHub, configs: Path
) -> None:
    (configs / "acme-tiny-chat.yaml").write_text("# something else\n")

    refused, forced = pull(), pull("--force")

    assert (refused.exit_code, forced.exit_code) == (1, 0)
    assert "--force writes it anew" in refused.stderr
    assert "engine: vllm_chat" in (configs / "acme-tiny-chat.yaml").read_text()


def test_cut_connection_is_gone_on_with_from_the_last_byte(pull: Pull, hub: FakeHub, weights: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, cut_after=70_000))

    result = pull()

    assert result.exit_code == 0, result.stderr
    assert hub.ranges(WEIGHTS) == [None, "bytes=70000-"]
    assert (weights / WEIGHTS).read_bytes() == hub.models[MODEL].files[WEIGHTS]


def test_hub_that_ignores_the_range_is_read_from_the_beginning(
    pull: Pull, hub: FakeHub, weights: Path
) -> None:
    hub.faults += [Fault(WEIGHTS, cut_after=70_000), Fault(WEIGHTS, ignores_range=True)]

    assert pull().exit_code == 0
    assert (weights / WEIGHTS).read_bytes() == hub.models[MODEL].files[WEIGHTS]


def test_wrong_bytes_are_fetched_again_and_then_given_up(pull: Pull, hub: FakeHub, weights: Path) -> None:
    wrong = bytes(len(hub.models[MODEL].files[WEIGHTS]))
    hub.faults.append(Fault(WEIGHTS, times=2, content=wrong))

    failed, mended = pull(), pull()

    assert failed.exit_code == 1
    assert f"{WEIGHTS} arrives with another content" in failed.stderr
    assert not (weights.parent / WEIGHTS).exists()
    assert mended.exit_code == 0
    assert (weights / WEIGHTS).read_bytes() == hub.models[MODEL].files[WEIGHTS]


def test_more_bytes_than_announced_are_refused(pull: Pull, hub: FakeHub, weights: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, times=2, content=hub.models[MODEL].files[WEIGHTS] + b"more"))

    assert pull().exit_code == 1
    assert not (weights / WEIGHTS).exists()


def test_altered_small_file_is_refused(pull: Pull, hub: FakeHub) -> None:
    hub.faults.append(
        Fault("config.json", content=hub.models[MODEL].files["config.json"].replace(b"3", b"4"))
    )

    result = pull()

    assert result.exit_code == 1
    assert "its hash differs" in result.stderr


def test_hub_that_asks_to_wait_is_waited_for(pull: Pull, hub: FakeHub) -> None:
    hub.faults.append(Fault("/info", status=429, headers={"Retry-After": "0"}))

    result = pull()

    assert result.exit_code == 0
    assert "status 429; trying again" in result.stdout


def test_hub_that_asks_to_wait_for_an_hour_is_not(pull: Pull, hub: FakeHub) -> None:
    hub.faults.append(Fault("/info", status=429, headers={"Retry-After": "3600"}))

    assert "asks to come back in 3600 s" in pull().stderr


def test_token_goes_to_the_hub_and_nowhere_else(pull: Pull, hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_good\n")
    hub.models[MODEL].is_gated = True

    result = pull("--token-file", str(tmp_path / "token"))

    assert result.exit_code == 0, result.stderr
    assert {asked.token for asked in hub.asked if asked.host == "127.0.0.1"} == {"hf_good"}
    assert {asked.token for asked in hub.asked if asked.host == "localhost"} == {None}
    assert "hf_good" not in result.output


def test_gated_model_says_where_its_terms_are(pull: Pull, hub: FakeHub) -> None:
    hub.models[MODEL].is_gated = True

    assert f"accept its terms at {hub.endpoint}/{MODEL}, then set HF_TOKEN" in pull().stderr


def test_gated_model_to_which_access_is_not_granted_yet_says_so(
    pull: Pull, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("hf_good")
    hub.models[MODEL].is_gated, hub.models[MODEL].is_granted = True, False

    assert "wait until access is granted" in pull("--token-file", str(tmp_path / "token")).stderr


def test_wrong_token_is_named_without_being_shown(pull: Pull, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_bad")

    result = pull("--token-file", str(tmp_path / "token"))

    assert "does not accept the token" in result.stderr
    assert "hf_bad" not in result.output


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("Acme/None", "has no model Acme/None"),
        (f"{MODEL}@v9", "has no such revision"),
        ("tiny", "is no id of a model"),
        ("../etc/passwd", "is no id of a model"),
    ],
)
def test_what_is_not_there_is_told(pull: Pull, model: str, message: str) -> None:
    assert message in pull(model=model).stderr


def test_revision_is_pinned_to_its_commit(pull: Pull, hub: FakeHub, weights: Path) -> None:
    hub.models[MODEL].revisions = ("main", "refs/pr/1")

    assert pull(model=f"{MODEL}@refs/pr/1").exit_code == 0
    assert weights.is_dir()
    assert all(COMMIT in asked.path for asked in hub.asked if "/resolve/" in asked.path)


def test_model_of_pickles_only_is_refused(pull: Pull, hub: FakeHub) -> None:
    files = hub.models[MODEL].files
    files["pytorch_model.bin"] = files.pop(WEIGHTS)

    result = pull()

    assert "only in a format that can run code when it is read (pytorch_model.bin)" in result.stderr
    assert hub.ranges("pytorch_model.bin") == []


def test_file_that_names_code_must_be_allowed(pull: Pull, hub: FakeHub, configs: Path) -> None:
    hub.models[MODEL] = FakeModel(chat_model(auto_map={"AutoModel": "modeling.Evil"}))

    refused, allowed = pull(), pull("--allow", "config.json")

    assert "has the key `auto_map`" in refused.stderr
    assert allowed.exit_code == 0, allowed.stderr
    assert list(read_catalog(configs).backends["be_acme_tiny_chat"].allowed_files) == ["config.json"]


def test_further_file_that_names_code_is_noticed_before_the_weights(pull: Pull, hub: FakeHub) -> None:
    hub.models[MODEL].files["generation_config.json"] = as_json({"a": [{"custom_pipeline": "evil"}]})

    assert "has the key `custom_pipeline`" in pull().stderr
    assert hub.ranges(WEIGHTS) == []


def test_file_outside_the_folder_is_refused(pull: Pull, hub: FakeHub) -> None:
    hub.models[MODEL].files["../../evil.json"] = b"{}"

    assert "a name that is not safe" in pull().stderr


def test_no_room_is_told_with_numbers_before_anything_is_fetched(
    hearth: Hearth, hub: FakeHub, configs: Path
) -> None:
    settings = {"models_dir": str(configs), "min_free_bytes": str(2**60)}

    result = hearth("pull", MODEL, "--endpoint", hub.endpoint, "--yes", **settings)

    assert "has room for 0 kB and needs" in result.stderr
    assert hub.ranges(WEIGHTS) == []


def test_include_narrows_the_weights(pull: Pull, hub: FakeHub, weights: Path) -> None:
    hub.models[MODEL].files["model.fp16.safetensors"] = safetensors(100)

    assert pull("--include", "*.fp16.*").exit_code == 0
    assert (weights / "model.fp16.safetensors").is_file()
    assert not (weights / WEIGHTS).exists()


def test_name_that_another_file_has_is_refused_before_anything_is_fetched(
    pull: Pull, hub: FakeHub, configs: Path
) -> None:
    pull("--name", "mine")
    (configs / "mine.yaml").rename(configs / "other.yaml")
    hub.asked.clear()

    assert "`mine` is already taken by" in pull("--name", "mine").stderr
    assert hub.ranges(WEIGHTS) == []


def test_folder_of_the_data_is_for_its_owner_only(pull: Pull, tmp_path: Path) -> None:
    pull()

    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_killed_pull_leaves_no_half_file_and_goes_on(
    pull: Pull, hub: FakeHub, configs: Path, weights: Path, tmp_path: Path, ending: int, status: int
) -> None:
    """Also: while it runs, another process that wants the same model is refused."""
    hub.faults.append(Fault(WEIGHTS, stall_after=120_000))
    command = [sys.executable, "-m", "server", "pull", MODEL, "--endpoint", hub.endpoint, "--yes"]
    environment = {"HEARTH_DATA_DIR": str(tmp_path / "data"), "HEARTH_MODELS_DIR": str(configs)}
    environment |= {"HF_TOKEN": hub.token}
    running = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL)
    part = weights / f".pulling/{WEIGHTS}.part"
    assert hub.stalled.wait(30)
    wait_until(lambda: part.exists() and part.stat().st_size == 120_000)

    second = pull()
    running.send_signal(ending)
    ended = running.wait(30)
    files_of_the_dead = sorted(path.name for path in weights.iterdir() if path.is_file())
    third = pull()

    assert ended == status
    assert "another process fetches" in second.stderr
    assert (WEIGHTS in files_of_the_dead, "model.lock" in files_of_the_dead) == (False, False)
    assert hub.token in {asked.token for asked in hub.asked}
    assert third.exit_code == 0, third.stderr
    assert hub.ranges(WEIGHTS) == [None, "bytes=120000-"]
    assert (weights / WEIGHTS).read_bytes() == hub.models[MODEL].files[WEIGHTS]


def test_base_model_without_a_template_is_refused_before_its_weights(pull: Pull, hub: FakeHub) -> None:
    hub.models[MODEL].files["tokenizer_config.json"] = as_json({})

    assert "has no chat template" in pull().stderr
    assert hub.ranges(WEIGHTS) == []


def wait_until(is_so: Callable[[], bool], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
