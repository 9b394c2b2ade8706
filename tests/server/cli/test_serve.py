"""`hearth serve` as a process: the key is printed once, calls can be pasted, wrong files never bind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import welcome
from tests.fakes.specs import make_spec
from tests.server.cli.conftest import Hearth

KEY = re.compile(r"sgk_[A-Za-z0-9_-]{43}")


def run_until_it_greeted(tmp_path: Path) -> tuple[str, str, int]:
    """Standard output, standard error and exit status of a server that is stopped as soon as it runs."""
    (tmp_path / "models").mkdir(exist_ok=True)
    settings = {"HEARTH_PORT": "0", "HEARTH_DRAIN_GRACE_S": "0"}
    folders = ("--data-dir", str(tmp_path / "data"), "--models-dir", str(tmp_path / "models"))
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", *folders],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    greeting = ""
    for line in process.stdout:
        greeting += line
        if line.startswith("Running."):
            break
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=30)
    return greeting + rest, errors, process.returncode


def test_key_is_printed_at_the_first_start_only_and_never_logged(tmp_path: Path) -> None:
    first, first_log, first_status = run_until_it_greeted(tmp_path)
    second, second_log, second_status = run_until_it_greeted(tmp_path)

    assert KEY.search(first)
    assert not KEY.search(first_log + second + second_log)
    assert (first_status, second_status) == (0, 0)
    assert re.search(r"listens on http://127\.0\.0\.1:\d+\nDocs: http://127\.0\.0\.1:\d+/docs\n", second)


def test_wrong_configuration_is_told_whole_and_nothing_is_bound(hearth: Hearth, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("engien: vllm_chat\n")

    result = hearth("serve", "--models-dir", str(tmp_path))

    assert (result.exit_code, result.stdout) == (1, "")
    assert "a.yaml: engien: unknown key (did you mean `engine`?)" in result.stderr
    assert "a.yaml: weights: is missing" in result.stderr


def test_failpoint_that_does_not_exist_is_told(hearth: Hearth, tmp_path: Path) -> None:
    result = hearth("serve", "--models-dir", str(tmp_path), failpoints="nowhere:1:kill")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "failpoints: there is no failpoint 'nowhere'" in result.stderr


def test_calls_to_paste_name_the_first_model_in_both_dialects() -> None:
    text = welcome.first_key("sgk_secret", "http://127.0.0.1:8000", [make_spec(frontends=("acme/chat", "b"))])

    assert "curl http://127.0.0.1:8000/v1/inference/chat \\" in text
    assert "curl http://127.0.0.1:8000/oai/v1/chat/completions \\" in text
    assert text.count("Bearer sgk_secret") == 2
    assert text.count('"model": "acme/chat"') == 2


@pytest.mark.parametrize(("preload", "when"), [(True, "loads now"), (False, "loads at its first request")])
def test_models_are_listed_with_when_they_load(preload: bool, when: str) -> None:
    text = welcome.models([make_spec(preload=preload)], "model_configs")

    assert f"acme/chat  (be_a, {when})" in text


def test_server_without_models_says_where_they_go() -> None:
    assert "put a file into model_configs" in welcome.models([], "model_configs")


def test_damaged_store_ends_the_start_with_a_status_that_forbids_restarting(
    hearth: Hearth, tmp_path: Path
) -> None:
    store = tmp_path / "data" / "hearth.db"
    store.parent.mkdir()
    store.write_bytes(b"\xde\xad" * 4096)

    results = [hearth(*command) for command in (["serve"], ["keys", "list"])]

    for result in results:
        assert (result.exit_code, result.stdout) == (78, "")
        assert f"the store {store} is damaged; it was not changed" in result.stderr
    assert store.read_bytes() == b"\xde\xad" * 4096
