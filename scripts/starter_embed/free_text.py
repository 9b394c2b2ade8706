"""Free text that is on a Debian machine with Python: what packages are, and what Python's modules say of themselves.

It knows nothing of models. What is missing on a machine is left out.
"""

import ast
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MARKUP = re.compile(r"[`*|=_]{2,}|[`*]|^\s*[-.]+\s*|>>>.*")


def package_synopses() -> list[str]:
    """The one-line description of every package in Debian's list, without repetitions."""
    if shutil.which("apt-cache") is None:
        return []
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^Description(?:-en)?: (.+)$", listed, flags=re.MULTILINE)
    plain = (re.sub(r"\s*\([^()]*\)$", "", synopsis) for synopsis in found)
    return sorted({synopsis for synopsis in plain if len(synopsis) > 15})


def documentation() -> list[tuple[str, str]]:
    """`(summary, rest)` of the documentation strings in Python's own library; ``rest`` may be empty."""
    found: dict[str, str] = {}
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if not {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(file.parts):
            found.update(_documented(file))
    return sorted(found.items())


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph that read like prose."""
    parts = _SENTENCE_END.split(text)
    return [part for part in parts if 20 < len(part) < 300 and _is_prose(part)]


def _documented(file: Path) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            summary, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
            summary, rest = _clean(summary), _clean(rest)
            if 20 < len(summary) < 300 and _is_prose(summary):
                yield summary, rest if len(rest) > 40 else ""


def _clean(text: str) -> str:
    return " ".join(" ".join(_MARKUP.sub(" ", line) for line in text.splitlines()).split())


def _is_prose(text: str) -> bool:
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters > 0.85 * len(text) and text.count(" ") >= 3
