"""A conversation keeps what was said, and ends when told: an answer's failure or its stop does not end it."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from server.cli.chatting import Manner, converse
from tests.server.cli.conftest import FakeServer
from tests.server.cli.test_run import CARDS, FAILURE, FIRST, SECOND

CARD = CARDS[0]


def reader(*texts: str | type[BaseException]) -> Callable[[str], str]:
    """Gives one text after the other, and raises what is an exception; then it is at the end."""
    coming: Iterator[str | type[BaseException]] = iter(texts)

    def read(prompt: str) -> str:
        text = next(coming, EOFError)
        if isinstance(text, str):
            return text
        raise text

    return read


@pytest.fixture
def talk(fake_server: FakeServer) -> Callable[..., list[list[dict[str, str]]]]:
    """Talks with the fake server; the messages of each request."""
    fake_server.answer = FIRST + SECOND

    def run(*texts: str | type[BaseException]) -> list[list[dict[str, str]]]:
        with CliRunner(env={"HEARTH_PORT": str(fake_server.port)}).isolation():
            converse(CARD, Manner(), "k", read=reader(*texts))
        return [json.loads(sent)["messages"] for sent in fake_server.sent]

    return run


def test_what_was_said_is_sent_again(talk: Callable[..., list[list[dict[str, str]]]]) -> None:
    asked = talk("one", "two")

    assert asked == [
        [{"role": "user", "content": "one"}],
        [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "two"},
        ],
    ]


def test_bye_ends_and_clear_forgets(talk: Callable[..., list[list[dict[str, str]]]]) -> None:
    asked = talk("one", "/clear", "", "/what", "two", "/bye", "three")

    assert asked == [[{"role": "user", "content": "one"}], [{"role": "user", "content": "two"}]]


def test_ctrl_c_at_the_prompt_drops_the_line_only(talk: Callable[..., list[list[dict[str, str]]]]) -> None:
    assert talk(KeyboardInterrupt, "one") == [[{"role": "user", "content": "one"}]]


def test_a_failure_ends_the_answer_only(
    talk: Callable[..., list[list[dict[str, str]]]], fake_server: FakeServer
) -> None:
    fake_server.answer = FAILURE

    assert talk("one", "two") == [[{"role": "user", "content": "one"}], [{"role": "user", "content": "two"}]]
