"""Files of `model_configs/` to backend specs. Does not look for weights: that is seen when they load."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from engines.contract.spec import BackendSpec
from engines.contract.types import Modality
from server.catalog.check import Mistake, find_mistakes
from server.catalog.options import find_engine_mistakes, find_option_mistakes
from server.catalog.problems import CatalogError, Problem
from server.catalog.replicas import expand, find_replica_mistakes
from server.catalog.strict_yaml import StrictYamlError, read_mapping

TEXT_MODALITIES = frozenset({Modality.CHAT, Modality.EMBEDDING, Modality.RERANK})
SUFFIXES = frozenset({".yaml", ".yml"})


class Catalog(msgspec.Struct, frozen=True):
    """Every backend by id, in the order of the file names; of a file with `replicas` several."""

    backends: dict[str, BackendSpec]


def read_catalog(models_dir: Path) -> Catalog:
    """All YAML files directly in `models_dir`. Raises CatalogError with every problem of every file."""
    try:
        files = sorted(file for file in models_dir.iterdir() if file.suffix in SUFFIXES)
    except OSError as error:
        raise CatalogError([Problem(models_dir, "", f"cannot be read: {error.strerror}")]) from error
    specs, problems = read_files(files)
    if problems:
        raise CatalogError(problems)
    return Catalog({replica.id: replica for spec in specs.values() for replica in expand(spec)})


def read_files(files: Sequence[Path]) -> tuple[dict[Path, BackendSpec], list[Problem]]:
    """The specs of the files that are right by themselves, as they are written, and all problems, also those between
    files.
    """
    specs: dict[Path, BackendSpec] = {}
    problems: list[Problem] = []
    for file in files:
        outcome = _read_file(file)
        if isinstance(outcome, BackendSpec):
            specs[file] = outcome
        else:
            problems += outcome
    return specs, problems + list(_find_duplicates(specs))


def _read_file(file: Path) -> BackendSpec | list[Problem]:
    try:
        written = read_mapping(file)
    except StrictYamlError as error:
        return [Problem(file, "", str(error))]
    completed = _complete(written, file)
    mistakes = [
        *find_mistakes(completed, BackendSpec),
        *_find_missing_window(completed),
        *_find_in_options(completed),
    ]
    if not mistakes:
        spec = msgspec.convert(completed, BackendSpec)
        mistakes = list(_find_between_keys(spec))
    return [Problem(file, *mistake) for mistake in mistakes] if mistakes else spec


def _complete(written: Mapping[object, object], file: Path) -> dict[object, object]:
    """What may be left out or written shortly, put in full; anything wrong stays as it is, to be reported."""
    full = {"id": "be_" + re.sub(r"[^a-z0-9]", "_", file.stem.lower()), **written}
    frontends, weights = full.get("frontends"), full.get("weights")
    if isinstance(frontends, list):
        full["frontends"] = [{"slug": item} if isinstance(item, str) else item for item in frontends]
    if isinstance(weights, str):
        full["weights"] = os.path.realpath(file.parent / os.path.expanduser(weights))
    return full


def _find_missing_window(completed: Mapping[object, object]) -> Iterator[Mistake]:
    if completed.get("modality") in TEXT_MODALITIES and completed.get("context_window") is None:
        yield Mistake("context_window", "is missing")


def _find_in_options(completed: Mapping[object, object]) -> Iterator[Mistake]:
    engine, options = completed.get("engine"), completed.get("options", {})
    if isinstance(engine, str) and isinstance(options, dict):
        yield from find_option_mistakes(engine, options)


def _find_between_keys(spec: BackendSpec) -> Iterator[Mistake]:
    if spec.max_output_tokens is not None and spec.max_output_tokens > (spec.context_window or 0):
        yield Mistake("max_output_tokens", f"is above context_window ({spec.context_window})")
    if spec.modality is Modality.AUDIO and not (spec.capabilities.transcribe or spec.capabilities.synthesize):
        yield Mistake("capabilities", "must say `transcribe: true` or `synthesize: true` for modality audio")
    mistakes = list(find_replica_mistakes(spec))
    yield from mistakes or find_engine_mistakes(expand(spec)[0], "gpus" if spec.gpus else "device")


def _find_duplicates(specs: Mapping[Path, BackendSpec]) -> Iterator[Problem]:
    """Ids and public names that are claimed twice; the later claim, by file name, is at fault."""
    owners: dict[tuple[str, str], Path] = {}
    for file, spec in specs.items():
        claims = [("id", "id", replica.id) for replica in expand(spec)]
        claims += [("slug", f"frontends[{n}]", frontend.slug) for n, frontend in enumerate(spec.frontends)]
        for kind, path, name in claims:
            if (kind, name) in owners:
                yield Problem(file, path, f"`{name}` is already taken by {owners[kind, name]}")
            owners.setdefault((kind, name), file)
