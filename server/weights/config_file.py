"""Writes the YAML file of a backend from what was detected, with comments, and only if the catalog takes it."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from server.catalog import read_files
from server.catalog.reader import SUFFIXES
from server.disk import sync_folder
from server.weights.detect import Detected
from server.weights.problem import WeightsError
from server.weights.sizes import in_words

_WIDTH = 1000  # no value is folded
_SLUG = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
UNKNOWN_LICENCE = "unknown"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What the head of the file says. `source` is an address or a folder, `command` what wrote the file."""

    title: str
    source: str
    licence: str
    size_bytes: int
    command: str


def licence_of(card: object) -> str:
    """The card's licence in one short line; `unknown` where it says none."""
    values = card if isinstance(card, dict) else {}
    found = values.get("license")
    if found == "other" or isinstance(found, list):
        found = values.get("license_name") or (found[0] if isinstance(found, list) and found else found)
    return _line(found, 80) if isinstance(found, str) and found.strip() else UNKNOWN_LICENCE


def default_slug(model: str) -> str:
    """The public name that a hub's id, or a folder's name, becomes."""
    return re.sub(r"[^a-z0-9._/-]+", "-", model.lower()).strip("-/") or "model"


def config_path(models_dir: Path, slug: str) -> Path:
    """Raises WeightsError for a name that clients could not send."""
    if not _SLUG.fullmatch(slug) or len(slug) > 200:
        raise WeightsError(
            f"{slug!r} cannot be a public name: letters, digits, `.`, `_`, `-`, parts joined by `/`"
        )
    return models_dir / f"{slug.replace('/', '-').lstrip('.')}.yaml"


def render(slug: str, folder: Path, detected: Detected, origin: Origin, allowed: dict[str, str]) -> str:
    """The file's text."""
    written: dict[str, Any] = {
        "engine": detected.engine,
        "modality": str(detected.modality),
        "frontends": [{"slug": slug, "display_name": _line(origin.title.rsplit("/", 1)[-1], 100)}],
        "weights": str(folder),
        "licence": origin.licence,
        "accept_license": detected.accept_license,
        "context_window": detected.context_window,
        "capabilities": detected.capabilities,
        "allowed_files": allowed,
        "limits": detected.limits,
        "options": detected.options,
    }
    present = {key: value for key, value in written.items() if value not in (None, {})}
    body = yaml.safe_dump(present, sort_keys=False, allow_unicode=True, width=_WIDTH)
    lines = [*_head(slug, folder, detected, origin), *_remarked(body, detected.remarks)]
    return "\n".join(lines) + "\n"


def check_slug(path: Path, slug: str) -> None:
    """Raises WeightsError if another file than `path` has this public name."""
    specs, _ = read_files(_others(path))
    for file, spec in specs.items():
        if slug in {frontend.slug for frontend in spec.frontends}:
            raise WeightsError(f"`{slug}` is already taken by {file}: --name gives another name")


def write_config(path: Path, text: str, *, may_replace: bool) -> None:
    """Whole or not at all. Raises WeightsError if the catalog would not take it, or it is there already."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / path.name
        trial.write_text(text, encoding="utf-8")
        _, problems = read_files([*_others(path), trial])
    wrong = [f"{problem.path}: {problem.message}" for problem in problems if problem.file == trial]
    if wrong:
        raise WeightsError(f"{path.name} cannot be used: {'; '.join(wrong)}")
    _put(path, text, may_replace=may_replace)


def _others(path: Path) -> list[Path]:
    return sorted(file for file in path.parent.glob("*") if file.suffix in SUFFIXES and file != path)


def _put(path: Path, text: str, *, may_replace: bool) -> None:
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if may_replace:
            Path(aside).replace(path)
        else:
            os.link(aside, path)  # fails where a file is, unlike a rename
        sync_folder(path.parent)
    except FileExistsError as error:
        raise WeightsError(f"{path} is there already; --force writes it anew") from error
    finally:
        Path(aside).unlink(missing_ok=True)


def _head(slug: str, folder: Path, detected: Detected, origin: Origin) -> Iterator[str]:
    yield f"# {_line(origin.title, 100)}: {detected.summary}."
    yield "#"
    yield f"# Licence: {origin.licence}. Source: {_line(origin.source, 300)}"
    yield f"# Weights: {in_words(origin.size_bytes)}; `hearth verify {slug}` compares them with their model.lock."
    yield f"# Written by `{origin.command}` from the model's own files: look through it, then restart the server."
    if origin.licence == UNKNOWN_LICENCE:
        yield "# The model does not say under which licence it is: find out before you use it."
    for note in detected.notes:
        yield f"# {_line(note, 300)}"


def _remarked(body: str, remarks: dict[str, str]) -> Iterator[str]:
    for line in body.splitlines():
        remark = remarks.get(line.partition(":")[0])
        yield f"{line} # {remark}" if remark else line


def _line(text: str, most: int) -> str:
    """Of a stranger's text what fits into one line of a comment."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:most]
