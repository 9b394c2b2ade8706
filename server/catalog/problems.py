"""What is wrong with configuration files, as data: collected over all files, shown at once. Reads no file."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One mistake. `path` is dotted (`options.max_model_len`), empty when it concerns the whole file."""

    file: Path
    path: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}: {self.path}" if self.path else f"{self.file}"
        return f"{where}: {self.message}" + (f" ({self.suggestion})" if self.suggestion else "")


class CatalogError(Exception):
    """The model configuration cannot be used; `problems` holds every mistake of every file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def suggest_key(unknown: str, known: Iterable[str]) -> str | None:
    """`did you mean ...`, when one of the known keys is near."""
    nearest = difflib.get_close_matches(unknown, list(known), n=1, cutoff=0.6)
    return f"did you mean `{nearest[0]}`?" if nearest else None
