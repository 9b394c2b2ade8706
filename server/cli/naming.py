"""A backend by its id or by the public name of a model of its: found, guessed when misspelt, completed in a shell."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from server.catalog.reader import SUFFIXES, default_id
from server.catalog.strict_yaml import StrictYamlError, read_mapping
from server.cli.client import call
from server.cli.terminal import fail
from server.settings_sources import SettingsError, load_settings

MAX_SHOWN = 12
Item = Mapping[str, Any]


def find_backends(name: str, api_key: str | None) -> list[Item]:
    """The running server's backends of that name; several may share a public name. Ends the command if none does."""
    return choose(name, call("GET", "/v1/backends", api_key)["items"])


def choose(name: str, items: Sequence[Item]) -> list[Item]:
    """Those of `items`, which have `id` and `models`, that go by `name`. Ends the command when there is none."""
    found = [item for item in items if name == item["id"] or name in item["models"]]
    if not found:
        fail(_unknown(name, [one for item in items for one in (*item["models"], item["id"])]))
    return found


def title(item: Item) -> str:
    """What people call it: its first public name."""
    return str(item["models"][0] if item["models"] else item["id"])


def _unknown(name: str, known: Sequence[str]) -> str:
    if near := nearest(name, known):
        return f"no model or backend {name}: did you mean {near}?"
    shown = ", ".join(known[:MAX_SHOWN]) + (", ..." if len(known) > MAX_SHOWN else "")
    return f"no model or backend {name}; there are: {shown or 'none, `hearth pull` gets one'}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant; the last part of one counts as well: `chat` for `starter/chat`."""
    every = list(known)
    by_end = {one.rpartition("/")[2].removeprefix("be_"): one for one in reversed(every)}
    near = difflib.get_close_matches(name, every, n=1) or difflib.get_close_matches(name, by_end, n=1)
    return by_end.get(near[0], near[0]) if near else None


def complete_name(incomplete: str) -> list[str]:
    """Public names and ids of backends, from the files alone: no server is asked, and no engine is imported."""
    try:
        folder = load_settings().models_dir
    except SettingsError:
        return []
    return [name for name in written_names(folder) if name.startswith(incomplete)]


def written_names(folder: Path) -> Iterator[str]:
    """Nothing where there is no such folder."""
    for backend_id, slugs in written_backends(folder):
        yield from (*slugs, backend_id)


def written_backends(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ids and public names. A file with mistakes is not for a completion to report: what looks like a name is one."""
    for file in sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES):
        try:
            written = read_mapping(file)
        except StrictYamlError:
            continue
        frontends = written.get("frontends")
        items = frontends if isinstance(frontends, list) else []
        slugs = [item.get("slug") if isinstance(item, dict) else item for item in items]
        yield str(written.get("id", default_id(file))), [slug for slug in slugs if isinstance(slug, str)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Public name of a model, or id of a backend.", autocompletion=complete_name
    ),
]
