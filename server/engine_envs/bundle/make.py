"""Makes a bundle: has pip collect the wheels, packs them with the server's code, cuts the archive into parts."""

import hashlib
import json
import shutil
import sys
import tarfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from server import __version__
from server.engine_envs.bundle.parts import Part, PartWriter
from server.engine_envs.bundle.target import Target
from server.engine_envs.install import Command, Reporter, Runner
from server.engine_envs.requirements import BUILT_FILE, digest_of, pip_sets, requirement_files

FORMAT = 1
API_LOCK = "requirements.lock"
_INSTALLER = Path(__file__).with_name("installer.py")
_START = """#!/bin/sh
# Installs Hearth from this folder, without a network: sh install.sh FOLDER
# PYTHON names another interpreter than python{python}.
set -eu
exec "${{PYTHON:-python{python}}}" "$(dirname "$0")/install.py" "$@"
"""
_SOURCES = ("server", "engines", "model_configs", "pyproject.toml", API_LOCK, "LICENSE")
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_TAIL_LINES = 25


class BundleOrder(NamedTuple):
    """What is wanted. `root` is a checkout of Hearth; `output` a folder that is missing or holds a bundle."""

    root: Path
    flavour: str
    target: Target
    part_bytes: int
    output: Path

    @property
    def requirements_dir(self) -> Path:
        return self.root / "engines" / "requirements"

    @property
    def requirements(self) -> tuple[Path, ...]:
        return requirement_files(self.flavour, self.requirements_dir)

    @property
    def name(self) -> str:
        return f"hearth-{__version__}-{self.flavour}-{digest_of(self.requirements)[:12]}"


class BundleError(Exception):
    """Pip could not collect what is needed; `tail` is the end of what it said."""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = tuple(tail)


def make_bundle(order: BundleOrder, run: Runner, reporter: Reporter) -> list[Part]:
    """The parts that lie in `output` afterwards. Blocks, for gigabytes. Raises BundleError.

    Wheels are collected beside the bundle and kept there when a step fails, so that the next try goes on. A bundle that
    lies there already stays until the new one is packed.
    """
    work = order.output / "unfinished"
    wheels, built = work / "wheels", work / "built"
    collected = _collecting(order, wheels, built)
    total = len(collected) + 2
    reporter.step(1, total, "make wheels of what is published without")
    _build(order, built, run, reporter)
    for number, (title, alternatives) in enumerate(collected, start=2):
        reporter.step(number, total, title)
        _run_one(title, alternatives, run, reporter)
    reporter.step(total, total, "pack the bundle")
    _remove_bundle(order.output)
    parts = _pack(order, wheels)
    shutil.rmtree(work)
    return parts


def try_bundle(order: BundleOrder, run: Runner, reporter: Reporter) -> dict[str, str]:
    """Name and version of every package of the engines. Raises BundleError.

    Keeps none of them, but pip fetches wheels to read their metadata where the index does not offer it apart.
    """
    built, report = order.output / "built", order.output / "report.json"
    sets = pip_sets(order.flavour, order.requirements)
    reporter.step(1, len(sets) + 1, "make wheels of what is published without")
    _build(order, built, run, reporter)
    pip = (sys.executable, *_PIP, "install", "--dry-run", "--ignore-installed", "--report", str(report))
    where = (
        "--target",
        str(order.output / "none"),
        "--find-links",
        str(built),
        *order.target.pip_arguments(),
    )
    found: dict[str, str] = {}
    for number, item in enumerate(sets, start=2):
        reporter.step(number, len(sets) + 1, item.title)
        _run_one(item.title, _with_index((*pip, *where, *item.arguments), item.other_index), run, reporter)
        entries = json.loads(report.read_text(encoding="utf-8"))["install"]
        found |= {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in entries}
    return found


def _collecting(order: BundleOrder, wheels: Path, built: Path) -> list[tuple[str, tuple[Command, ...]]]:
    where = ("--dest", str(wheels), "--find-links", str(built), "--find-links", str(wheels))
    pip = (sys.executable, *_PIP, "download", "--progress-bar", "off", *where, *order.target.pip_arguments())
    lock = ("--require-hashes", "-r", str(order.root / API_LOCK))
    engines = [
        (f"collect: {item.title}", _with_index((*pip, *item.arguments), item.other_index))
        for item in pip_sets(order.flavour, order.requirements)
    ]
    return [*engines, ("collect the server's packages", ((*pip, *lock),))]


def _build(order: BundleOrder, built: Path, run: Runner, reporter: Reporter) -> None:
    """Wheels of pure Python, in an empty folder: one with compiled code would fit this machine only."""
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    requirements = order.requirements_dir / BUILT_FILE
    command = (
        sys.executable,
        *_PIP,
        "wheel",
        "--no-deps",
        "--wheel-dir",
        str(built),
        "-r",
        str(requirements),
    )
    _run_one("make wheels", (command,), run, reporter)
    if others := [file.name for file in built.iterdir() if not file.name.endswith("-none-any.whl")]:
        raise BundleError(f"not of pure Python, so built for this machine only: {', '.join(others)}")


def _with_index(command: Command, other_index: str | None) -> tuple[Command, ...]:
    return (command,) if other_index is None else (command, (*command, "--index-url", other_index))


def _run_one(title: str, alternatives: Sequence[Command], run: Runner, reporter: Reporter) -> None:
    tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def on_line(text: str) -> None:
        tail.append(text)
        reporter.line(text)

    if not any(run(command, on_line) == 0 for command in alternatives):
        raise BundleError(f"could not {title.removeprefix('collect: ')}", tail)


def _remove_bundle(output: Path) -> None:
    for file in [
        *output.glob("hearth-*.tar.*"),
        *(output / name for name in ("manifest.json", "install.py")),
    ]:
        file.unlink(missing_ok=True)


def _pack(order: BundleOrder, wheels: Path) -> list[Part]:
    files: list[Part] = []
    writer = PartWriter(order.output, f"{order.name}.tar", order.part_bytes)
    with writer, tarfile.open(fileobj=writer, mode="w|") as archive:
        for path, file in _contents(order.root, wheels):
            files.append(Part(path, file.stat().st_size, _sha256(file)))
            archive.add(file, path, recursive=False, filter=_anonymous)
    manifest = {
        "format": FORMAT,
        "name": order.name,
        "flavour": order.flavour,
        "python": order.target.python,
        "machine": order.target.machine,
        "platform": order.target.platform,
        "parts": [part._asdict() for part in writer.parts],
        "files": [part._asdict() for part in files],
    }
    shutil.copyfile(_INSTALLER, order.output / "install.py")
    (order.output / "install.sh").write_text(_START.format(python=order.target.python), encoding="utf-8")
    (order.output / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return writer.parts


def _contents(root: Path, wheels: Path) -> Iterator[tuple[str, Path]]:
    """Path in the archive and file of all that is packed, in a fixed order."""
    for name in _SOURCES:
        source = root / name
        for file in [source] if source.is_file() else sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"app/{file.relative_to(root)}", file
    for file in sorted(wheels.glob("*.whl")):
        yield f"wheels/{file.name}", file


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same input gives the same archive, and tells nothing of who made it."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
