"""`hearth bench` counts what a server answers, in the unit of the model's modality."""

import io
import json
import wave

import pytest

from server.cli.bench import percentile
from server.cli.loads import SOUND_S, has_words, load_for
from tests.server.cli.conftest import FakeServer, Hearth
from tests.server.cli.test_run import CARDS, card

CHUNK = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7}}\n\ndata: [DONE]\n\n'
QUICK = ("--seconds", "0.1")


@pytest.fixture
def served(fake_server: FakeServer) -> FakeServer:
    fake_server.answers["/v1/models"] = {"data": {"items": CARDS}}
    fake_server.answer = CHUNK + USAGE
    return fake_server


def test_chat_is_measured_in_tokens_and_to_the_first_of_them(hearth: Hearth, served: FakeServer) -> None:
    result = hearth(
        "bench", "acme/chat", "-c", "1", "-c", "2", *QUICK, "--json", port=str(served.port), api_key="k"
    )

    levels = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [(level["concurrency"], level["failed"], level["unit"]) for level in levels] == [
        (1, 0, "tokens/s"),
        (2, 0, "tokens/s"),
    ]
    assert all(level["requests"] >= level["concurrency"] for level in levels)
    assert all(0 < level["first_p50_s"] <= level["whole_p99_s"] for level in levels)
    assert levels[0]["rate"] > 0


def test_embeddings_are_measured_in_texts(hearth: Hearth, served: FakeServer) -> None:
    served.answer = {"data": []}

    result = hearth("bench", "acme/embed", "-c", "1", *QUICK, port=str(served.port), api_key="k")

    assert result.exit_code == 0
    assert "texts/s" in result.stdout
    assert len(json.loads(served.sent[-1])["input"]) == 16


def test_a_stream_that_fails_is_counted_and_told(hearth: Hearth, served: FakeServer) -> None:
    failure = b'data: {"error": {"code": "BACKEND_ERROR", "message": "The worker ended"}}\n\n'
    served.answer = failure

    result = hearth("bench", "acme/chat", "-c", "1", *QUICK, port=str(served.port), api_key="k")

    assert result.exit_code == 1
    assert "First failure: " in result.stdout
    assert "BACKEND_ERROR" in result.stdout


def test_a_refusal_ends_it_before_anything_is_measured(hearth: Hearth, served: FakeServer) -> None:
    served.answers["/v1/models"] = {"data": {"items": [card("acme/x", "smell")]}}

    result = hearth("bench", "acme/x", *QUICK, port=str(served.port), api_key="k")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no load is known for models of modality smell" in result.stderr


def test_an_event_that_names_the_role_only_is_not_the_first_word() -> None:
    role = b'{"choices": [{"delta": {"role": "assistant", "content": ""}}]}'
    thought = b'{"choices": [{"delta": {"reasoning_content": "Hm"}}]}'

    assert [has_words(role), has_words(thought), has_words(b'{"choices": []}')] == [False, True, False]


def test_requests_differ_so_that_no_cache_answers() -> None:
    load = load_for(CARDS[0], 8)

    assert load is not None
    assert load.content(1) != load.content(2)


def test_the_sound_to_transcribe_is_as_long_as_it_is_counted() -> None:
    load = load_for(CARDS[3], 8)

    assert load is not None
    with wave.open(io.BytesIO(load.content(1)["files"]["file"][1])) as sound:
        assert sound.getnframes() / sound.getframerate() == SOUND_S == load.count(b"")


def test_spoken_seconds_are_those_of_the_wave() -> None:
    load, sound = load_for(CARDS[2], 8), load_for(CARDS[3], 8)

    assert load is not None
    assert sound is not None
    assert load.count(sound.content(1)["files"]["file"][1]) == SOUND_S


@pytest.mark.parametrize(
    ("share", "value"), [(50, 2.0), (99, 4.0), (1, 1.0)], ids=["middle", "largest", "least"]
)
def test_percentile(share: int, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_percentile_of_nothing() -> None:
    assert percentile([], 50) is None
