"""What an engine environment is made of: files of pinned packages, in the order in which pip takes them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

REQUIREMENTS_DIR = Path(__file__).resolve().parents[2] / "engines" / "requirements"
BUILT_FILE = "built.txt"
REQUIREMENT_FILES = {"cpu": ("cpu.txt", "cpu-nodeps.txt"), "cuda": ("cuda.txt", BUILT_FILE)}
IMPORTS_FILE = "imports.txt"
TORCH_CPU = "torch==2.13.0+cpu"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class PipSet(NamedTuple):
    """Arguments of one call of pip. `other_index` is asked when pip's own has nothing that fits."""

    title: str
    arguments: tuple[str, ...]
    other_index: str | None = None


def requirement_files(flavour: str, folder: Path = REQUIREMENTS_DIR) -> tuple[Path, ...]:
    return tuple(folder / name for name in REQUIREMENT_FILES[flavour])


def digest_of(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def pip_sets(flavour: str, files: Sequence[Path]) -> list[PipSet]:
    """PyTorch for CPU comes first and is then held: left to itself, pip would take the CUDA build and 4 GB more.

    For CUDA the files name everything there is, so pip resolves nothing.
    """
    names = list(map(str, files))
    if flavour == "cuda":
        return [
            PipSet(
                "install the engines for CUDA (several GB)", ("--no-deps", "--require-hashes", "-r", names[0])
            ),
            PipSet("install what is published without wheels", ("--no-deps", "-r", names[1])),
        ]
    return [
        PipSet("install PyTorch for CPU (190 MB)", ("--no-deps", TORCH_CPU), PYTORCH_CPU_INDEX),
        PipSet("install the engines' libraries", (TORCH_CPU, "-r", names[0])),
        PipSet("install vLLM for CPU (150 MB)", ("--no-deps", "-r", names[1])),
    ]


def pins(flavour: str, files: Sequence[Path]) -> dict[str, str]:
    """Name to version of every package that the files pin. A line with a hash has no version."""
    lines = [
        line.split("#")[0].strip(" \\") for file in files for line in file.read_text("utf-8").splitlines()
    ]
    pairs = (line.partition("==") for line in ([TORCH_CPU, *lines] if flavour == "cpu" else lines) if line)
    return {name.strip(): version.strip() for name, _, version in pairs if version}
