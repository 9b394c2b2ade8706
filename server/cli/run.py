"""`hearth run`: one question to a model of the running server, answered word by word in the terminal."""

from typing import Annotated

import typer

from server.cli.client import ApiKey, stream
from server.cli.terminal import AsJson, print_json


def run(
    model: Annotated[str, typer.Argument(help="Public name of the model.")],
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model once and print its answer as it comes."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
    answer = ""
    for event in stream("/oai/v1/chat/completions", body, api_key):
        for choice in event["choices"]:
            piece = choice["delta"].get("content") or ""
            answer += piece
            if not as_json:
                print(piece, end="", flush=True)
    if as_json:
        print_json({"model": model, "answer": answer})
    else:
        print()
