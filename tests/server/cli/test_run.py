"""`hearth run` prints what the model streams, and ends with status 1 when the stream tells a failure."""

import base64
import json
from pathlib import Path

import pytest

from tests.server.cli.conftest import FakeServer, Hearth

FIRST = b'data: {"choices": [{"delta": {"role": "assistant", "content": "Hel"}}]}\n\n'
SECOND = b'data: {"choices": [{"delta": {"content": "lo"}}]}\n\n'
FAILURE = b'event: error\ndata: {"error": {"code": "BACKEND_ERROR", "message": "The worker ended"}}\n\n'
DONE = b"data: [DONE]\n\n"


def card(slug: str, modality: str, **capabilities: bool) -> dict[str, object]:
    return {"slug": slug, "modality": modality, "state": "ready", "capabilities": capabilities}


CARDS = [
    card("acme/chat", "chat"),
    card("acme/image", "image"),
    card("acme/speech", "audio", synthesize=True),
    card("acme/hear", "audio", synthesize=False),
    card("acme/embed", "embedding"),
]


@pytest.fixture
def served(fake_server: FakeServer) -> FakeServer:
    fake_server.answers["/v1/models"] = {"data": {"items": CARDS}}
    fake_server.answer = FIRST + b": ping\n\n" + SECOND + DONE
    return fake_server


def test_pieces_are_joined(hearth: Hearth, served: FakeServer) -> None:
    result = hearth("run", "acme/chat", "Hi", port=str(served.port), api_key="k")

    assert (result.exit_code, result.stdout) == (0, "Hello\n")


def test_the_manner_is_sent(hearth: Hearth, served: FakeServer) -> None:
    options = ("--system", "Be short.", "--max-tokens", "5", "--temperature", "0")

    hearth("run", "acme/chat", "Hi", *options, port=str(served.port), api_key="k")

    assert json.loads(served.sent[-1]) == {
        "model": "acme/chat",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 5,
        "temperature": 0.0,
    }


def test_stdin_is_the_prompt_where_there_is_none(hearth_reading: Hearth, served: FakeServer) -> None:
    result = hearth_reading("What?\n", "run", "acme/chat", port=str(served.port), api_key="k")

    assert result.stdout == "Hello\n"
    assert json.loads(served.sent[-1])["messages"] == [{"role": "user", "content": "What?"}]


def test_nothing_to_ask_is_refused(hearth: Hearth, served: FakeServer) -> None:
    result = hearth("run", "acme/chat", port=str(served.port), api_key="k")

    assert result.exit_code == 1
    assert "there is nothing on stdin" in result.stderr


def test_json_holds_the_whole_answer(hearth: Hearth, served: FakeServer) -> None:
    result = hearth("run", "acme/chat", "Hi", "--json", port=str(served.port), api_key="k")

    assert json.loads(result.stdout) == {"model": "acme/chat", "answer": "Hello"}


def test_failure_in_the_stream_ends_the_command(hearth: Hearth, served: FakeServer) -> None:
    served.answer = FIRST + FAILURE + DONE

    result = hearth("run", "acme/chat", "Hi", port=str(served.port), api_key="k")

    assert (result.exit_code, result.stdout) == (1, "Hel")
    assert "The worker ended (BACKEND_ERROR)" in result.stderr


@pytest.mark.parametrize("name", ["acme/chta", "chat"])
def test_unknown_model_is_told_what_was_meant(hearth: Hearth, served: FakeServer, name: str) -> None:
    result = hearth("run", name, "Hi", port=str(served.port), api_key="k")

    assert result.exit_code == 1
    assert f"no model {name} for this key; did you mean acme/chat?" in result.stderr


def test_a_backends_id_is_as_good_as_its_model(hearth: Hearth, served: FakeServer) -> None:
    served.answers["/v1/backends"] = {"data": {"items": [{"id": "be_a", "models": ["acme/chat"]}]}}

    assert hearth("run", "be_a", "Hi", port=str(served.port), api_key="k").stdout == "Hello\n"


def test_a_picture_is_written_to_a_file(hearth: Hearth, served: FakeServer, tmp_path: Path) -> None:
    target = tmp_path / "red.png"
    served.answer = {"data": [{"b64_json": base64.b64encode(b"PNG").decode()}]}

    result = hearth("run", "acme/image", "red", "-o", str(target), port=str(served.port), api_key="k")

    assert (result.exit_code, target.read_bytes()) == (0, b"PNG")
    assert result.stdout == f"{target} (3 bytes)\n"


def test_speech_has_the_format_of_its_file(hearth: Hearth, served: FakeServer, tmp_path: Path) -> None:
    target = tmp_path / "said.mp3"
    served.answer = b"MP3"

    hearth("run", "acme/speech", "Hi", "-o", str(target), port=str(served.port), api_key="k")

    assert target.read_bytes() == b"MP3"
    assert json.loads(served.sent[-1])["response_format"] == "mp3"


def test_a_file_is_transcribed(hearth: Hearth, served: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    served.answer = {"text": "turn on the light"}

    result = hearth("run", "acme/hear", str(tmp_path / "a.wav"), port=str(served.port), api_key="k")

    assert result.stdout == "turn on the light\n"
    assert b"RIFF" in served.sent[-1]


def test_a_file_that_is_not_there_is_named(hearth: Hearth, served: FakeServer) -> None:
    result = hearth("run", "acme/hear", "/nowhere.wav", port=str(served.port), api_key="k")

    assert result.exit_code == 1
    assert "cannot read /nowhere.wav: No such file or directory" in result.stderr


def test_a_model_for_programs_points_to_a_call(hearth: Hearth, served: FakeServer) -> None:
    result = hearth("run", "acme/embed", "Hi", port=str(served.port), api_key="k")

    assert result.exit_code == 1
    assert "`hearth show acme/embed` has a call to paste" in result.stderr
