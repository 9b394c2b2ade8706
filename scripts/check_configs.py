"""Checks model configurations as the server would, without any engine's library.

python scripts/check_configs.py [--json] [FILE_OR_FOLDER ...]     exit status 1 if anything is wrong
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from engines.contract.spec import BackendSpec
from server.catalog import Problem, read_files
from server.catalog.reader import SUFFIXES

MODELS_DIR = Path(__file__).resolve().parents[1] / "model_configs"


class Report(msgspec.Struct, frozen=True):
    """`warnings` are no fault of the files: weights that are not on this machine."""

    backends: dict[Path, BackendSpec]
    problems: list[Problem]
    warnings: list[Problem]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("places", nargs="*", type=Path, help="files or folders [default: the repository's]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    report = check(given.places or [MODELS_DIR, MODELS_DIR / "examples"])
    if given.json:
        print(json.dumps(_builtins(report), indent=2))
    else:
        _print(report)
    return 1 if report.problems else 0


def check(places: Sequence[Path]) -> Report:
    """Each folder is one server's: names must be unique within it, not between folders."""
    report = Report({}, [], [])
    for place in places:
        files = (
            sorted(file for file in place.iterdir() if file.suffix in SUFFIXES) if place.is_dir() else [place]
        )
        backends, problems = read_files(files)
        report.backends.update(backends)
        report.problems.extend(problems)
    for file, spec in report.backends.items():
        if not Path(spec.weights).is_dir():
            report.warnings.append(Problem(file, "weights", f"no folder {spec.weights} on this machine"))
    return report


def _builtins(report: Report) -> dict[str, object]:
    def rows(problems: list[Problem]) -> list[dict[str, str | None]]:
        return [{**msgspec.structs.asdict(problem), "file": str(problem.file)} for problem in problems]

    backends = {str(file): msgspec.to_builtins(spec) for file, spec in report.backends.items()}
    return {"backends": backends, "problems": rows(report.problems), "warnings": rows(report.warnings)}


def _print(report: Report) -> None:
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 120)
    table = Table("FILE", "BACKEND", "ENGINE", "MODELS", "LICENCE", box=None, pad_edge=False)
    for file, spec in report.backends.items():
        slugs = " ".join(frontend.slug for frontend in spec.frontends)
        table.add_row(file.name, spec.id, spec.engine, slugs, spec.licence)
    console.print(table)
    for kind, problems in (("warning", report.warnings), ("error", report.problems)):
        for problem in problems:
            console.print(f"{kind}: {problem}", soft_wrap=True)
    console.print(
        f"{len(report.backends)} right, {len(report.problems)} errors, {len(report.warnings)} warnings"
    )


if __name__ == "__main__":
    sys.exit(main())
