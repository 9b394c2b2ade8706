"""`hearth run`: a model of the running server, used from the terminal: talked to, made to draw, to speak, to listen."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.chatting import Manner, answer, converse
from server.cli.client import ApiKey, call
from server.cli.making import draw, hear, speak
from server.cli.naming import complete_name, find_backends, nearest
from server.cli.terminal import AsJson, fail, print_json

MAX_LISTED = 200
Card = Mapping[str, Any]


def run(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Public name of the model.", autocompletion=complete_name),
    ],
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help="What to ask, draw or say; a file to transcribe.",
            show_default="a conversation, or stdin",
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, help="0 for the likeliest answer.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for a picture or speech; its suffix is the format."),
    ] = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model and print its answer as it comes; without a prompt talk with it. Pictures and speech go to a file."""
    card = find_card(model, api_key)
    is_chat = card["modality"] == "chat"
    if prompt is None and sys.stdin.isatty():
        if not is_chat or as_json:
            fail(f"{card['slug']} needs a prompt here: hearth run {card['slug']} 'what to do'")
        converse(card, Manner(system, max_tokens, temperature), api_key)
        return
    text = sys.stdin.read().strip() if prompt is None else prompt
    if not text:
        fail("there is nothing on stdin; give a prompt, or call it from a terminal to talk")
    if is_chat:
        _ask_once(card, text, Manner(system, max_tokens, temperature), api_key, as_json)
    else:
        _make(card, text, output, api_key, as_json)


def find_card(name: str, api_key: str | None) -> Card:
    """Of a model by its public name or its backend's id. Ends the command if there is none."""
    slug = find_backends(name, api_key)[0]["models"][0] if name.startswith("be_") else name
    cards = {card["slug"]: card for card in call("GET", f"/v1/models?limit={MAX_LISTED}", api_key)["items"]}
    if slug in cards:
        found: Card = cards[slug]
        return found
    near = nearest(slug, cards)
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(cards) or 'none'}"
    fail(f"no model {slug} for this key; {hint}")


def _ask_once(card: Card, text: str, manner: Manner, api_key: str | None, as_json: bool) -> None:
    told = ""
    for piece in answer(card, [{"role": "user", "content": text}], manner, api_key):
        told += piece
        if not as_json:
            print(piece, end="", flush=True)
    if as_json:
        print_json({"model": card["slug"], "answer": told})
    else:
        print()


def _make(card: Card, text: str, output: Path | None, api_key: str | None, as_json: bool) -> None:
    if card["modality"] == "image":
        made = draw(card, text, output, api_key)
    elif card["modality"] == "audio" and card["capabilities"]["synthesize"]:
        made = speak(card, text, output, api_key)
    elif card["modality"] == "audio":
        made = hear(card, Path(text), api_key)
    else:
        fail(
            f"{card['slug']} is for programs ({card['modality']}): `hearth show {card['slug']}` has a call to paste"
        )
    if as_json:
        print_json({"model": card["slug"]} | made)
    else:
        print(made.get("text") or f"{made['file']} ({made['size_bytes']} bytes)")
