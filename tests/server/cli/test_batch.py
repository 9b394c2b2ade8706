"""`hearth batch` against a small HTTP server: what it sends, what it prints, how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from server.cli.batch_wait import describe, follow
from tests.server.cli.batch_server import ERRORS, RESULTS, BatchServer, batch_object, run_batch_server
from tests.server.cli.conftest import Hearth


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with run_batch_server() as found:
        yield found


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text('{"custom_id": "a"}\n')
    return path


def settings(server: BatchServer) -> dict[str, str]:
    return {"port": str(server.port), "api_key": "k"}


def test_submit_uploads_the_file_and_begins_a_batch(hearth: Hearth, server: BatchServer, lines: Path) -> None:
    options = ("--window", "4h", "--metadata", "team=a", "--metadata", "note=x=y")

    result = hearth("batch", "submit", str(lines), *options, **settings(server))

    (upload, begin) = server.asked
    assert (result.exit_code, result.stdout) == (0, "batch_1\n")
    assert (upload[:2], begin[:2]) == (("POST", "/v1/files"), ("POST", "/v1/inference/batch"))
    assert lines.read_bytes() in upload[2]
    assert b'name="purpose"' in upload[2]
    assert json.loads(begin[2]) == {
        "input_file_url": "scaigrid://file/file_1",
        "endpoint_completion_window": "4h",
        "metadata": {"team": "a", "note": "x=y"},
    }


@pytest.mark.parametrize("options", [("--window", "2h"), ("--metadata", "team"), ("--metadata", "=a")])
def test_wrong_options_are_refused_before_anything_is_sent(
    hearth: Hearth, server: BatchServer, lines: Path, options: tuple[str, str]
) -> None:
    result = hearth("batch", "submit", str(lines), *options, **settings(server))

    assert (result.exit_code, server.asked) == (1, [])
    assert options[0] in result.stderr


def test_submit_can_wait_for_the_end(hearth: Hearth, server: BatchServer, lines: Path) -> None:
    server.batches = [batch_object("completed")]

    result = hearth("batch", "submit", str(lines), "--wait", "--json", **settings(server))

    assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "completed")


def test_list_is_a_table(hearth: Hearth, server: BatchServer) -> None:
    result = hearth("batch", "list", "--status", "in_progress", "--limit", "5", **settings(server))

    row = result.stdout.splitlines()[1].split()
    assert row[:3] + row[4:] == ["batch_1", "in_progress", "24h", "4", "1", "10"]
    assert server.asked[0][1] == "/v1/inference/batch?limit=5&status=in_progress"


def test_show_tells_counts_and_faults_of_the_input(hearth: Hearth, server: BatchServer) -> None:
    problem = {"code": "VALIDATION_ERROR", "line": 3, "message": "custom_id is missing", "param": "custom_id"}
    server.batches = [batch_object("failed", errors=[problem])]

    result = hearth("batch", "show", "batch_1", **settings(server))

    assert "10 total, 4 completed, 1 failed" in result.stdout
    assert "line 3" in result.stdout
    assert "custom_id is missing" in result.stdout


def test_cancel_asks_the_server(hearth: Hearth, server: BatchServer) -> None:
    result = hearth("batch", "cancel", "batch_1", "--json", **settings(server))

    assert json.loads(result.stdout)["status"] == "cancelling"
    assert server.asked[0][:2] == ("POST", "/v1/inference/batch/batch_1/cancel")


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("failed", 1), ("expired", 1), ("cancelled", 1)]
)
def test_wait_ends_with_the_batch(hearth: Hearth, server: BatchServer, status: str, code: int) -> None:
    server.batches = [batch_object(status)]

    result = hearth("batch", "wait", "batch_1", **settings(server))

    assert (result.exit_code, result.stdout) == (code, f"{status}  4 done, 1 failed of 10\n")


def test_download_writes_both_files_and_nothing_else(
    hearth: Hearth, server: BatchServer, tmp_path: Path
) -> None:
    server.batches = [batch_object("completed", output_file_id="file_out", error_file_id="file_error")]
    folder = tmp_path / "results"

    result = hearth("batch", "download", "batch_1", "--output", str(folder), **settings(server))

    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert result.exit_code == 0
    assert names == {"batch_1_output.jsonl": RESULTS, "batch_1_error.jsonl": ERRORS}


def test_failed_download_leaves_no_file(hearth: Hearth, server: BatchServer, tmp_path: Path) -> None:
    server.batches = [batch_object("completed", output_file_id="file_out")]
    server.refuses_content = True

    result = hearth("batch", "download", "batch_1", "--output", str(tmp_path / "out"), **settings(server))

    assert result.exit_code == 1
    assert "No such thing (NOT_FOUND)" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_batch_without_files_cannot_be_downloaded(hearth: Hearth, server: BatchServer) -> None:
    result = hearth("batch", "download", "batch_1", **settings(server))

    assert result.exit_code == 1
    assert "its status is in_progress" in result.stderr


class FakeTime:
    """Sleeps at once; a sleep takes ten of its seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 10.0


@pytest.fixture
def at_server(server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BatchServer:
    monkeypatch.setenv("HEARTH_PORT", str(server.port))
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    return server


def test_wait_survives_a_restart_of_the_server(at_server: BatchServer) -> None:
    at_server.batches = [batch_object("in_progress"), 503, None, None, batch_object("completed")]
    time = FakeTime()

    found = follow("/v1/inference/batch/batch_1", "k", is_quiet=True, sleep=time.sleep, clock=time.clock)

    assert found["status"] == "completed"


def test_wait_gives_up_after_a_minute_without_a_server(
    at_server: BatchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    at_server.batches = [batch_object("in_progress"), None]
    time = FakeTime()

    with pytest.raises(typer.Exit):
        follow("/v1/inference/batch/batch_1", "k", is_quiet=True, sleep=time.sleep, clock=time.clock)

    assert "no server answers" in capsys.readouterr().err
    assert 60 <= time.now <= 80


def test_wait_ends_at_once_when_the_batch_is_unknown(at_server: BatchServer) -> None:
    at_server.batches = [404]

    with pytest.raises(typer.Exit):
        follow("/v1/inference/batch/none", "k", is_quiet=True)

    assert len(at_server.asked) == 1


def test_progress_is_told_in_numbers() -> None:
    assert describe(batch_object("in_progress")) == "4 done, 1 failed of 10, 2.5 lines/s, 1:02 left"
    assert describe(batch_object("validating", progress=None)) == "4 done, 1 failed of 10"
