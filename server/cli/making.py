"""What `hearth run` does with models that do not chat: a picture or speech into a file, speech from a file to text."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from server.cli.client import STREAM_TIMEOUT_S, connect, problem_of
from server.cli.terminal import fail
from server.cli.waiting import told_while_waiting

Card = Mapping[str, Any]


def draw(card: Card, prompt: str, output: Path | None, api_key: str | None) -> dict[str, Any]:
    body = {"model": card["slug"], "prompt": prompt}
    answer = _ask(card, "/oai/v1/images/generations", api_key, json=body | {"response_format": "b64_json"})
    picture = base64.b64decode(answer.json()["data"][0]["b64_json"])
    return _written(output or Path("image.png"), picture)


def speak(card: Card, text: str, output: Path | None, api_key: str | None) -> dict[str, Any]:
    """In the format of the file's suffix; the server refuses one that it does not make."""
    target = output or Path("speech.wav")
    body = {"model": card["slug"], "input": text, "response_format": target.suffix.removeprefix(".")}
    return _written(target, _ask(card, "/oai/v1/audio/speech", api_key, json=body).content)


def hear(card: Card, file: Path, api_key: str | None) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}; a model that transcribes takes a file with sound")
    parts = {"file": (file.name, content)}
    found = _ask(card, "/oai/v1/audio/transcriptions", api_key, data={"model": card["slug"]}, files=parts)
    return {"text": found.json()["text"]}


def _ask(card: Card, path: str, api_key: str | None, **content: Any) -> httpx.Response:
    with told_while_waiting(card, api_key), connect(api_key, STREAM_TIMEOUT_S) as client:
        response = client.post(path, **content)
        if not response.is_success:
            fail(problem_of(response, str(client.base_url)))
        return response


def _written(target: Path, content: bytes) -> dict[str, Any]:
    try:
        target.write_bytes(content)
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}; --output names another file")
    return {"file": str(target), "size_bytes": len(content)}
