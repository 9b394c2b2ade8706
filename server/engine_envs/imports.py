"""Whether the libraries of an engine environment can be imported, asked in a process of its own. Loads none here."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# One line of JSON per module, so that whoever reads them knows how far it came when a library kills the process.
IMPORT_SCRIPT = """
import importlib, importlib.util, json, sys
failed = False
for word in sys.argv[1:]:
    how, name = word.split(':')
    error = None
    try:
        if how == 'import':
            importlib.import_module(name)
        elif importlib.util.find_spec(name) is None:
            error = 'is not installed'
    except BaseException as problem:
        error = type(problem).__name__ + ': ' + str(problem)[:300]
    failed |= error is not None
    print(json.dumps({'module': name, 'error': error}), flush=True)
raise SystemExit(failed)
"""


class ImportFailure(NamedTuple):
    module: str
    error: str


def read_imports(file: Path) -> tuple[str, ...]:
    """`import:NAME` or `find:NAME` for every line of the file."""
    lines = (line.split("#")[0].split() for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(f"{words[0]}:{words[1]}" for words in lines if words)


def try_imports(python: Path, words: Sequence[str], timeout_s: float) -> list[ImportFailure]:
    """What cannot be imported. Blocks, at most `timeout_s` for all that is asked without a death in between."""
    failures: list[ImportFailure] = []
    left = list(words)
    while left:
        heard, end = _ask(python, left, timeout_s)
        failures += [ImportFailure(item["module"], item["error"]) for item in heard if item["error"]]
        left = left[len(heard) :]
        if left:  # it ended within the next one
            failures.append(ImportFailure(left.pop(0).partition(":")[2], end))
    return failures


def _ask(python: Path, words: Sequence[str], timeout_s: float) -> tuple[list[dict[str, str]], str]:
    """Answers until the process ended, and how it ended."""
    command = [str(python), "-I", "-c", IMPORT_SCRIPT, *words]
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
        output, end = result.stdout, f"ends the process with status {result.returncode}"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"takes longer than {timeout_s:.0f} s"
    except OSError as error:
        output, end = b"", f"cannot be tried: {error.strerror}"
    return [json.loads(line) for line in output.splitlines() if line.startswith(b'{"module"')], end
