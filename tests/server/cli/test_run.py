"""`hearth run` prints what the model streams, and ends with status 1 when the stream tells a failure."""

import json

from tests.server.cli.conftest import FakeServer, Hearth

FIRST = b'data: {"choices": [{"delta": {"role": "assistant", "content": "Hel"}}]}\n\n'
SECOND = b'data: {"choices": [{"delta": {"content": "lo"}}]}\n\n'
FAILURE = b'event: error\ndata: {"error": {"code": "BACKEND_ERROR", "message": "The worker ended"}}\n\n'
DONE = b"data: [DONE]\n\n"


def test_pieces_are_joined(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = FIRST + b": ping\n\n" + SECOND + DONE

    result = hearth("run", "acme/chat", "Hi", port=str(fake_server.port), api_key="k")

    assert (result.exit_code, result.stdout) == (0, "Hello\n")


def test_json_holds_the_whole_answer(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = FIRST + SECOND + DONE

    result = hearth("run", "acme/chat", "Hi", "--json", port=str(fake_server.port), api_key="k")

    assert json.loads(result.stdout) == {"model": "acme/chat", "answer": "Hello"}


def test_failure_in_the_stream_ends_the_command(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.answer = FIRST + FAILURE + DONE

    result = hearth("run", "acme/chat", "Hi", port=str(fake_server.port), api_key="k")

    assert (result.exit_code, result.stdout) == (1, "Hel")
    assert "The worker ended (BACKEND_ERROR)" in result.stderr


def test_refusal_is_told_in_the_servers_words(hearth: Hearth, fake_server: FakeServer) -> None:
    fake_server.status = 404
    fake_server.answer = {"error": {"code": "MODEL_NOT_FOUND", "message": "There is no such model"}}

    result = hearth("run", "none", "Hi", port=str(fake_server.port), api_key="k")

    assert result.exit_code == 1
    assert "There is no such model (MODEL_NOT_FOUND)" in result.stderr
