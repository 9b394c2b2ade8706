"""`hearth verify`: are the weights still what their `model.lock` says? Needs no server."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from engines.contract.spec import BackendSpec
from server.catalog import read_files
from server.catalog.reader import SUFFIXES
from server.cli.terminal import AsJson, console, fail, load_settings_or_fail, print_json
from server.cli.transfer_progress import show_bytes
from server.weights.model_lock import LOCK_NAME, read_lock
from server.weights.problem import WeightsError
from server.weights.verify import Difference, compare_contents, compare_sizes

ALL = "all"


class Verdict(msgspec.Struct, frozen=True):
    """`state` is right, wrong or unlocked."""

    slug: str
    weights: str
    state: str
    differences: list[Difference] = []
    problem: str | None = None


def verify_models(
    slug: Annotated[str, typer.Argument(help="Public name of a model, or all.")] = ALL,
    as_json: AsJson = False,
) -> None:
    """Compare weights with their model.lock: sizes, then SHA-256. Status 1 if anything differs."""
    settings = load_settings_or_fail()
    screen = console()
    screen.quiet = as_json
    specs = _read_specs(settings.models_dir)
    chosen = {name: spec for name, spec in specs.items() if slug in (ALL, name)}
    if not chosen:
        known = ", ".join(specs) or "none"
        fail(f"no model {slug} in {settings.models_dir}; there are: {known}")
    verdicts = [_verify(name, Path(spec.weights), screen) for name, spec in chosen.items()]
    if as_json:
        print_json(verdicts)
    if any(verdict.state == "wrong" or (slug != ALL and verdict.state != "right") for verdict in verdicts):
        raise typer.Exit(1)


def _read_specs(models_dir: Path) -> dict[str, BackendSpec]:
    """By their first public names; files with mistakes are for the server's start to tell."""
    files = sorted(file for file in models_dir.glob("*") if file.suffix in SUFFIXES)
    return {spec.frontends[0].slug: spec for spec in read_files(files)[0].values()}


def _verify(slug: str, folder: Path, screen: Console) -> Verdict:
    try:
        verdict = _compare(slug, folder, screen)
    except WeightsError as error:
        verdict = Verdict(slug, str(folder), "wrong", problem=str(error))
    except OSError as error:
        verdict = Verdict(slug, str(folder), "wrong", problem=f"cannot read {folder}: {error.strerror}")
    _tell(screen, verdict)
    return verdict


def _compare(slug: str, folder: Path, screen: Console) -> Verdict:
    lock = read_lock(folder)
    if lock is None:
        hint = f"no {LOCK_NAME} in {folder}; `hearth add` makes one of what is there"
        return Verdict(slug, str(folder), "unlocked", problem=hint)
    differences = compare_sizes(folder, lock)
    with show_bytes(screen, slug) as progress:
        differences += compare_contents(folder, lock, differences, progress)
    return Verdict(slug, str(folder), "wrong" if differences else "right", differences)


def _tell(screen: Console, verdict: Verdict) -> None:
    screen.print(f"{verdict.slug}: {verdict.problem or verdict.state}", soft_wrap=True)
    for line in _lines(verdict.differences):
        screen.print(f"  {line}", soft_wrap=True)


def _lines(differences: Iterable[Difference]) -> Iterable[str]:
    for difference in differences:
        detail = f" ({difference.detail})" if difference.detail else ""
        yield f"{difference.kind:9} {difference.path}{detail}"
