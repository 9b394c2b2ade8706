"""`hearth logs`: what the server and its workers have written, and what they write."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from server.cli.log_files import SERVER, FollowedFile, last_lines, log_files
from server.cli.naming import complete_name, nearest, written_backends
from server.cli.terminal import fail, load_settings_or_fail
from server.settings import Settings

PERIOD_S = 0.3
Log = tuple[str, str]
_FIRST_FIELDS = ("time", "level", "event")


def logs(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model or a backend, or `server`; without it all of them.", autocompletion=complete_name
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each to begin with.")] = 20,
    raw: Annotated[bool, typer.Option("--json", help="Print lines as they were written.")] = False,
) -> None:
    """Show the end of the server's and the workers' logs."""
    settings = load_settings_or_fail()
    data_dir = settings.data_dir
    found = log_files(data_dir)
    wanted = found if model is None else _named(model, found, settings)
    if not found and not follow:
        fail(_nothing(SERVER, found, data_dir))
    is_alone = model is not None and len(wanted) == 1
    write = _writer(width=max(map(len, wanted), default=0), is_alone=is_alone, is_raw=raw)
    followed: dict[str, FollowedFile] = {}
    for name, path in wanted.items():
        texts, position = last_lines(path, lines)
        followed[name] = FollowedFile(path, position)
        for text in texts:
            write(name, text)
    if follow:
        _follow(followed, data_dir, write, takes_new=model is None)


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


def _named(name: str, found: Mapping[str, Path], settings: Settings) -> dict[str, Path]:
    """The logs of a backend, or of all backends of a public name. Ends the command when there is none."""
    written = dict(written_backends(settings.models_dir))
    ids = [backend_id for backend_id, slugs in written.items() if name in slugs]
    wanted = {one: found[one] for one in (name, *ids) if one in found}
    if not wanted and (
        near := nearest(name, [*found, *(slug for one in found for slug in written.get(one, []))])
    ):
        fail(f"no log of {name}; did you mean {near}?")
    if not wanted:
        fail(_nothing(name, found, settings.data_dir))
    return wanted


def _nothing(name: str, found: Mapping[str, Path], data_dir: Path) -> str:
    if name == SERVER:
        return (
            f"no log of the server in {data_dir / 'logs'}: without a terminal it logs to stderr, which its service"
            " manager keeps (journalctl -u hearth, docker logs)"
        )
    return f"no log of {name}; there are: {', '.join(found) or 'none'}"
