"""`hearth logs`: what the server and its workers have written, and what they write."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from server.cli.log_files import SERVER, FollowedFile, last_lines, log_files
from server.cli.terminal import fail, load_settings_or_fail

PERIOD_S = 0.3
Log = tuple[str, str]
_FIRST_FIELDS = ("time", "level", "event")


def logs(
    backend: Annotated[
        str | None, typer.Argument(help="Id of a backend, or `server`; without it all of them.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each to begin with.")] = 20,
    raw: Annotated[bool, typer.Option("--json", help="Print lines as they were written.")] = False,
) -> None:
    """Show the end of the server's and the workers' logs."""
    data_dir = load_settings_or_fail().data_dir
    found = log_files(data_dir)
    if backend is not None and backend not in found:
        fail(_nothing(backend, found, data_dir))
    if not found and not follow:
        fail(_nothing(SERVER, found, data_dir))
    wanted = found if backend is None else {backend: found[backend]}
    write = _writer(width=max(map(len, wanted), default=0), is_alone=backend is not None, is_raw=raw)
    followed: dict[str, FollowedFile] = {}
    for name, path in wanted.items():
        texts, position = last_lines(path, lines)
        followed[name] = FollowedFile(path, position)
        for text in texts:
            write(name, text)
    if follow:
        _follow(followed, data_dir, write, takes_new=backend is None)


def added(followed: dict[str, FollowedFile], data_dir: Path, *, takes_new: bool) -> Iterator[Log]:
    """Name and line of what has been added since; logs that are new are read from their beginning."""
    if takes_new:
        for name, path in log_files(data_dir).items():
            followed.setdefault(name, FollowedFile(path))
    for name, file in followed.items():
        for text in file.new_lines():
            yield name, text


def _follow(
    followed: dict[str, FollowedFile], data_dir: Path, write: Callable[[str, str], None], *, takes_new: bool
) -> None:
    try:
        while True:
            for name, text in added(followed, data_dir, takes_new=takes_new):
                write(name, text)
            time.sleep(PERIOD_S)
    except KeyboardInterrupt:
        return
    finally:
        for file in followed.values():
            file.close()


def _writer(*, width: int, is_alone: bool, is_raw: bool) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        shown = text if is_raw else readable(text)
        print(shown if is_alone or is_raw else f"{name:<{width}} | {shown}", flush=True)

    return write


def readable(text: str) -> str:
    """A line of JSON as `time level event key=value`; of a progress bar that wrote over itself what stood last."""
    try:
        fields = json.loads(text) if text.startswith("{") else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return text.rpartition("\r")[2]
    first = [str(fields[name]) for name in _FIRST_FIELDS if name in fields]
    rest = [f"{name}={_shown(value)}" for name, value in fields.items() if name not in _FIRST_FIELDS]
    return " ".join([*first, *rest])


def _shown(value: object) -> str:
    if isinstance(value, str) and value and not any(character.isspace() for character in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _nothing(name: str, found: Mapping[str, Path], data_dir: Path) -> str:
    if name == SERVER:
        return (
            f"no log of the server in {data_dir / 'logs'}: without a terminal it logs to stderr, which its service"
            " manager keeps (journalctl -u hearth, docker logs)"
        )
    return f"no log of {name}; there are: {', '.join(found) or 'none'}"
