"""What a Dockerfile of ours must not do, and what it must. Runs nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

from dockerfile.reading import Instruction, Stage

_SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|API_?KEY|CREDENTIAL)", re.IGNORECASE)
_TAGGED = re.compile(r".+:[^:/]*\d[^:/]*$")
_ROOT = ("root", "0")
_LIVE = "/health/live"


def find_faults(stages: list[Stage], root: Path) -> list[str]:
    """One sentence each; `root` is the folder that is built from."""
    names: list[str] = []
    faults: list[str] = []
    for stage in stages:
        if stage.base not in names and not _TAGGED.match(stage.base):
            faults.append(f"{stage.name}: {stage.base} is not pinned by a version")
        for instruction in stage.instructions:
            faults += [f"line {instruction.line}: {fault}" for fault in _in(instruction, names, root)]
        names.append(stage.name)
    return faults + list(_in_last(stages[-1]))


def _in(instruction: Instruction, stages: list[str], root: Path) -> Iterator[str]:
    match instruction.keyword:
        case "ADD":
            yield "ADD fetches and unpacks; use COPY"
        case "COPY":
            yield from _in_copy(instruction, stages, root)
        case "ENV" | "ARG":
            yield from (f"{name} looks like a secret" for name in instruction.pairs() if _SECRET.search(name))
        case "RUN" if re.search(r"\b(curl|wget)\b", instruction.rest):
            yield "RUN fetches what no lock names"


def _in_copy(instruction: Instruction, stages: list[str], root: Path) -> Iterator[str]:
    sources = instruction.words()[:-1]
    if "from" in instruction.flags:
        if instruction.flags["from"] not in stages:
            yield f"there is no stage {instruction.flags['from']} before it"
        return
    yield from (f"{source} does not exist" for source in sources if not (root / source).exists())


def _in_last(stage: Stage) -> Iterator[str]:
    given = {instruction.keyword: instruction for instruction in stage.instructions}
    if "USER" not in given or given["USER"].rest.split(":")[0] in _ROOT:
        yield "the last stage runs as root"
    if "HEALTHCHECK" not in given or _LIVE not in given["HEALTHCHECK"].rest:
        yield f"the last stage has no HEALTHCHECK on {_LIVE}"
    if "VOLUME" not in given:
        yield "the last stage has no VOLUME for what is written"
    if "ENTRYPOINT" not in given or not given["ENTRYPOINT"].rest.startswith("["):
        yield "the last stage has no ENTRYPOINT in the JSON form: signals would not arrive"
