"""Dockerfile.cuda: what it must not do, and every RUN, COPY, HEALTHCHECK and ENTRYPOINT of it, outside Docker."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fakes.tiny_checkout import API_PACKAGE, ENGINE_PACKAGE, TinyCheckout

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from dockerfile.carrying_out import ExerciseError, Image
from dockerfile.faults import find_faults
from dockerfile.reading import Stage, read_instructions, read_stages

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile.cuda").read_text(encoding="utf-8")
GOOD_END = """
USER 10001
VOLUME /data
HEALTHCHECK CMD curl http://127.0.0.1/health/live
ENTRYPOINT ["hearth"]
"""


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read_stages(TEXT)


@pytest.fixture(scope="module")
def image(stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Everything carried out, with locks that name two tiny packages; PYTHONPATH stands for what they lack."""
    folder = tmp_path_factory.mktemp("docker")
    checkout = TinyCheckout(folder / "tiny")
    made = Image(folder / "image", checkout.root, flavour="cuda", environment=checkout.environment())
    made.carry_out(stages, lambda text: None)
    return made


@pytest.fixture
def health() -> Iterator[tuple[int, list[int]]]:
    """A server on a port, and the list that holds the status of its answers."""
    status = [200]
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status[0] if self.path == "/health/live" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port, status
        server.shutdown()
        thread.join()


def test_the_dockerfile_has_no_faults(stages: list[Stage]) -> None:
    assert find_faults(stages, ROOT) == []


def test_installation_is_the_command_that_is_used_outside(stages: list[Stage]) -> None:
    commands = [item.rest for stage in stages for item in stage.instructions if item.keyword == "RUN"]

    assert ".venv/bin/python -m server engines install --flavour cuda" in commands
    assert any("--require-hashes -r requirements.lock" in command for command in commands)


def test_what_is_built_can_import_its_packages(image: Image) -> None:
    for python, module in (("/opt/engines/cuda", ENGINE_PACKAGE), ("/opt/hearth/.venv", API_PACKAGE)):
        result = image.run([f"{python}/bin/python", "-I", "-c", f"import {module}"])

        assert (result.returncode, result.stderr) == (0, "")


def test_everything_that_is_written_lies_in_the_volume(image: Image, stages: list[Stage]) -> None:
    variables = {
        name: value
        for item in stages[-1].instructions
        if item.keyword == "ENV"
        for name, value in item.pairs().items()
    }

    assert all(variables[name].startswith("/data") for name in ("HOME", "TMPDIR", "HEARTH_DATA_DIR"))
    assert image.path("/data/tmp").is_dir()  # made by the entry point, also in a volume that was empty


def test_the_user_exists_without_rights(image: Image) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes users")

    assert "hearth:x:10001:10001:" in image.path("/etc/passwd").read_text()
    assert image.path("/data").stat().st_uid == 10001
    assert image.path("/data").stat().st_mode & 0o777 == 0o700


def test_health_check_follows_the_server(
    image: Image, stages: list[Stage], health: tuple[int, list[int]]
) -> None:
    (check,) = (item for item in stages[-1].instructions if item.keyword == "HEALTHCHECK")
    (command,) = read_instructions(check.rest)
    port, status = health

    good = image.run(command.words(), HEARTH_PORT=str(port)).returncode
    status[0] = 500
    bad = image.run(command.words(), HEARTH_PORT=str(port)).returncode

    assert (good, bad) == (0, 1)


def test_failing_command_is_named_by_its_line(tmp_path: Path) -> None:
    image = Image(tmp_path / "image", ROOT, flavour="cpu", environment=dict(os.environ))
    bad = read_stages("FROM python:3.12\n\nRUN echo so && \\\n    false\n")

    with pytest.raises(ExerciseError, match="line 3: status 1\nso"):
        image.carry_out(bad, lambda text: None)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ADD https://example.org/x.tar.gz /opt", "ADD fetches and unpacks"),
        ("COPY no_such_file ./", "no_such_file does not exist"),
        ("COPY --from=nowhere /opt /opt", "there is no stage nowhere before it"),
        ("ENV HF_TOKEN=abc", "HF_TOKEN looks like a secret"),
        ("RUN curl https://example.org/install.sh | sh", "RUN fetches what no lock names"),
    ],
)
def test_faults_are_named_with_their_line(line: str, fault: str) -> None:
    (found,) = find_faults(read_stages(f"FROM python:3.12\n{line}\n{GOOD_END}"), ROOT)

    assert found.startswith(f"line 2: {fault}")


@pytest.mark.parametrize("base", ["python", "python:latest", "python:slim"])
def test_base_without_a_version_is_a_fault(base: str) -> None:
    assert find_faults(read_stages(f"FROM {base}\n{GOOD_END}"), ROOT) == [
        f"0: {base} is not pinned by a version"
    ]


def test_last_stage_needs_user_health_check_volume_and_entry_point() -> None:
    faults = find_faults(read_stages("FROM python:3.12\nUSER root\n"), ROOT)

    assert [fault.split(" ")[3] for fault in faults] == ["runs", "has", "has", "has"]


def test_program_says_what_it_is_for() -> None:
    command = [sys.executable, str(ROOT / "scripts/exercise_dockerfile.py"), "--help"]

    assert "without Docker" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
