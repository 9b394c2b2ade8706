"""`hearth engines bundle`: collects everything for a machine without a network."""

import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.cli.engines import choose_flavour
from server.cli.install_progress import show_progress
from server.cli.terminal import AsJson, console, fail, gibibytes, print_json, print_table
from server.engine_envs.bundle import (
    BundleError,
    BundleOrder,
    TargetError,
    make_bundle,
    parse_target,
    try_bundle,
)
from server.engine_envs.commands import run_command

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d+) ?(KiB|MiB|GiB|MB|GB)")


def bundle_engines(
    output: Annotated[Path, typer.Option(help="Folder for the bundle.", file_okay=False)],
    flavour: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: by the hardware of this machine.")
    ] = "auto",
    python: Annotated[str, typer.Option(help="Python of the machine it is for.")] = HERE,
    platform: Annotated[
        str, typer.Option(help="Its platform: manylinux, version of glibc, processor.")
    ] = "manylinux_2_31_x86_64",
    part_size: Annotated[str, typer.Option(help="Size of each part: KiB, MiB, GiB, MB or GB.")] = "1GiB",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only show which packages it would hold; pip may fetch them all the same."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Collect the server and every wheel in parts, with an install.sh that needs no network."""
    try:
        target = parse_target(python, platform)
    except TargetError as error:
        fail(str(error))
    order = BundleOrder(ROOT, choose_flavour(flavour), target, _size_bytes(part_size), output)
    if python != HERE:
        print(
            f"hearth: pip judges conditions of packages by this Python, {HERE}, not by {python}",
            file=sys.stderr,
        )
    try:
        _try(order, as_json=as_json) if dry_run else _make(order, as_json=as_json)
    except BundleError as error:
        fail(str(error), *error.tail)


def _try(order: BundleOrder, *, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, show_progress(_shown(as_json)) as reporter:
        packages = try_bundle(order._replace(output=Path(folder)), run_command, reporter)
    if as_json:
        print_json(packages)
    else:
        print_table(("PACKAGE", "VERSION"), sorted(packages.items()), "")
        print(f"{len(packages)} packages for the engines, without the server's own")


def _make(order: BundleOrder, *, as_json: bool) -> None:
    with show_progress(_shown(as_json)) as reporter:
        parts = make_bundle(order, run_command, reporter)
    if as_json:
        print_json([part._asdict() for part in parts])
        return
    size = gibibytes(sum(part.size_bytes for part in parts))
    print(
        f"{order.output}: {len(parts)} parts, {size}. Carry the whole folder over, then: sh install.sh FOLDER"
    )


def _shown(is_silent: bool) -> Console:
    shown = console()
    shown.quiet = is_silent
    return shown


def _size_bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        fail(f"--part-size {text}: must be a size such as 60MiB")
    return int(found[1]) * _UNITS[found[2]]
