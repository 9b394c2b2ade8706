"""Installs a bundle on a machine without a network: `python3.12 install.py FOLDER`. Copied into every bundle.

It stands by itself: only Python's own library, nothing of Hearth's. The parts can be joined by hand as well:
`cat hearth-*.tar.* | tar -x`.
"""

import argparse
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

PIECE_BYTES = 1 << 20
LAUNCHER = """#!/bin/sh
# Hearth as it was installed here. What is set in the environment wins.
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
export PYTHONPATH="$root/app${PYTHONPATH:+:$PYTHONPATH}"
export HEARTH_DATA_DIR="${HEARTH_DATA_DIR:-$root/data}"
export HEARTH_ENGINES_DIR="${HEARTH_ENGINES_DIR:-$root/engines}"
export HEARTH_MODELS_DIR="${HEARTH_MODELS_DIR:-$root/model_configs}"
exec "$root/.venv/bin/python" -P -m server "$@"
"""


class Refused(Exception):
    """The bundle cannot be installed here; one line per reason."""


class JoinedParts(io.RawIOBase):
    """The parts read one after the other, as the archive that they were."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = list(paths)
        self._file: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while self._file is not None or self._paths:
            if self._file is None:
                self._file = self._paths.pop(0).open("rb", buffering=0)
            if count := self._file.readinto(buffer):  # type: ignore[attr-defined]  # unbuffered: a FileIO
                return int(count)
            self._file.close()
            self._file = None
        return 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def install(bundle: Path, folder: Path) -> None:
    """Verify, unpack, and make both environments. What runs in `folder` already keeps its engines."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    problems = [*_find_misfits(manifest), *_find_damage(bundle, manifest["parts"])]
    if problems:
        raise Refused("\n".join(problems))
    folder.mkdir(parents=True, exist_ok=True)
    _say("1/4 unpack and verify")
    _unpack(bundle, manifest, folder)
    _say("2/4 create the server's environment")
    _run(sys.executable, "-m", "venv", "--clear", str(folder / ".venv"))
    _say("3/4 install the server's packages")
    offline = ("--no-index", "--find-links", str(folder / "wheels"))
    pip = (str(folder / ".venv/bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "-q")
    _run(*pip, *offline, "--require-hashes", "-r", str(folder / "app/requirements.lock"))
    hearth = _make_launcher(folder)
    _say("4/4 install the engines")
    _run(
        str(hearth),
        "engines",
        "install",
        "--flavour",
        manifest["flavour"],
        "--wheels",
        str(folder / "wheels"),
    )
    _say(f"Installed. Next: {hearth} doctor, then {hearth} serve")


def _find_misfits(manifest: dict[str, Any]) -> Iterator[str]:
    if manifest["format"] != 1:
        yield f"manifest.json has format {manifest['format']}; this install.py knows 1: take both from one bundle"
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != manifest["python"]:
        yield f"this is Python {here}, the bundle is for {manifest['python']}: PYTHON=... sh install.sh FOLDER"
    if platform.machine() != manifest["machine"]:
        yield f"this machine is {platform.machine()}, the bundle is for {manifest['machine']}"


def _find_damage(bundle: Path, parts: list[dict[str, Any]]) -> Iterator[str]:
    for part in parts:
        path = bundle / part["path"]
        if not path.is_file():
            yield f"{part['path']} is missing"
        elif path.stat().st_size != part["size_bytes"]:
            yield f"{part['path']} has {path.stat().st_size} bytes instead of {part['size_bytes']}"
        elif _sha256(_pieces([path])) != part["sha256"]:
            yield f"{part['path']} is damaged: its SHA-256 is not that of the manifest"


def _unpack(bundle: Path, manifest: dict[str, Any], folder: Path) -> None:
    """Aside first; in place of what is there only once every file was found to be right."""
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    expected = {item["path"]: item["sha256"] for item in manifest["files"]}
    joined = JoinedParts([bundle / part["path"] for part in manifest["parts"]])
    with io.BufferedReader(joined, PIECE_BYTES) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or member.name not in expected or ".." in Path(member.name).parts:
                raise Refused(f"{member.name} is not in the manifest")
            if _write(content, unfinished / member.name) != expected.pop(member.name):
                raise Refused(f"{member.name} is damaged: its SHA-256 is not that of the manifest")
    if expected:
        raise Refused("\n".join(f"{path} is missing in the archive" for path in sorted(expected)))
    for name in ("app", "wheels"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (unfinished / name).rename(folder / name)
    unfinished.rmdir()
    if not (folder / "model_configs").exists():
        (folder / "app/model_configs").rename(folder / "model_configs")


def _write(content: Any, path: Path) -> str:
    """The digest of what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _make_launcher(folder: Path) -> Path:
    launcher = folder / "bin" / "hearth"
    launcher.parent.mkdir(exist_ok=True)
    launcher.write_text(LAUNCHER, encoding="utf-8")
    launcher.chmod(0o755)
    return launcher


def _pieces(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def _sha256(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _run(*command: str) -> None:
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        raise Refused(f"ended with status {status}: {' '.join(command)}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    arguments = argparse.ArgumentParser(description="Install Hearth from this bundle, without a network.")
    arguments.add_argument("folder", type=Path, help="where Hearth shall lie")
    folder = arguments.parse_args().folder
    try:
        install(Path(__file__).resolve().parent, folder.absolute())
    except (Refused, OSError) as error:
        sys.stderr.write("".join(f"install: {line}\n" for line in str(error).splitlines()))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
