"""Files of `hearth batch` on their way to the server and back, with a bar on a terminal."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from server.cli.client import STREAM_TIMEOUT_S, connect, data_of, problem_of
from server.cli.terminal import console, fail


def upload_file(path: Path, api_key: str | None) -> Any:
    """The file object that the server made of `path`. Ends the command when it refuses."""
    with (
        connect(api_key, STREAM_TIMEOUT_S) as client,
        _bar("uploading", path.stat().st_size) as progress,
        progress.open(path, "rb", task_id=progress.task_ids[0]) as content,
    ):
        parts = {"file": (path.name, content, "application/jsonl")}
        response = client.post("/v1/files", data={"purpose": "batch"}, files=parts)
        return data_of(response, str(client.base_url))


def download_file(file_id: str, target: Path, api_key: str | None) -> Path:
    """Fetch a file's content to `target`, which appears whole or not at all."""
    try:
        with (
            _aside(target) as file,
            connect(api_key, STREAM_TIMEOUT_S) as client,
            client.stream("GET", f"/v1/files/{file_id}/content") as response,
        ):
            if not response.is_success:
                response.read()
                fail(problem_of(response, str(client.base_url)))
            _copy(response, file, target.name)
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}")
    return target


def _copy(response: httpx.Response, file: IO[bytes], name: str) -> None:
    length = response.headers.get("content-length")
    with _bar(name, None if length is None else int(length)) as progress:
        for piece in response.iter_bytes():
            file.write(piece)
            progress.advance(progress.task_ids[0], len(piece))


@contextmanager
def _aside(target: Path) -> Iterator[IO[bytes]]:
    """A file beside `target` that takes its place at the end, and goes if there is none."""
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _bar(title: str, size_bytes: int | None) -> Iterator[Progress]:
    screen = console()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        progress.add_task(title, total=size_bytes)
        yield progress
