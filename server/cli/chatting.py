"""A conversation with a chat model in the terminal: one answer, or one after the other until `/bye`."""

import contextlib
from collections.abc import Callable, Generator, Mapping
from typing import Any

import msgspec
import typer

from server.cli.client import stream
from server.cli.terminal import note
from server.cli.waiting import told_while_waiting

PATH = "/oai/v1/chat/completions"
HELP = "/bye ends, /clear forgets what was said, Ctrl-C stops an answer, Ctrl-D ends too"
Card = Mapping[str, Any]


class Manner(msgspec.Struct, frozen=True):
    """How the model is asked; None is its own default."""

    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None

    def body(self, model: str, said: list[dict[str, str]]) -> dict[str, Any]:
        first = [] if self.system is None else [{"role": "system", "content": self.system}]
        chosen = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        given = {name: value for name, value in chosen.items() if value is not None}
        return {"model": model, "messages": first + said, "stream": True} | given


def answer(
    card: Card, said: list[dict[str, str]], manner: Manner, api_key: str | None
) -> Generator[str, None, None]:
    """The pieces of the model's answer. Ends the command when it fails; close it to stop the model."""
    with (
        told_while_waiting(card, api_key) as is_over,
        contextlib.closing(stream(PATH, manner.body(card["slug"], said), api_key)) as events,
    ):
        for event in events:
            is_over()
            for choice in event["choices"]:
                if piece := choice["delta"].get("content"):
                    yield piece


def converse(card: Card, manner: Manner, api_key: str | None, *, read: Callable[[str], str] = input) -> None:
    """Until `/bye` or the end of `read`. What a model said before it was stopped stays part of the talk."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives `input` its editing and its history
    note(HELP)
    said: list[dict[str, str]] = []
    while (text := _next_text(read)) is not None:
        if text == "/bye":
            return
        if text == "/clear":
            said.clear()
        elif text.startswith("/"):
            note(HELP)
        elif text:
            said.append({"role": "user", "content": text})
            told = _tell(answer(card, said, manner, api_key))
            said.append({"role": "assistant", "content": told}) if told else said.pop()
            card = {**card, "state": None} if told else card  # it is up: nothing to tell of its coming


def _next_text(read: Callable[[str], str]) -> str | None:
    """None at the end of the input. Ctrl-C at the prompt drops what was typed."""
    while True:
        try:
            return read(">>> ").strip()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()


def _tell(pieces: Generator[str, None, None]) -> str:
    """Print an answer as it comes; what came of it. A failure has been told and ends the answer only."""
    told = ""
    try:
        with contextlib.suppress(typer.Exit), contextlib.closing(pieces):
            for piece in pieces:
                told += piece
                print(piece, end="", flush=True)
    except KeyboardInterrupt:
        print(" [stopped]", end="")
    print()
    return told
