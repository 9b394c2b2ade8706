"""A Dockerfile as a list of instructions. Knows no instruction's meaning."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

_FLAG = re.compile(r"--(?P<name>[a-z-]+)=(?P<value>\S+)\s+")


class Instruction(NamedTuple):
    """`RUN --mount=type=cache,target=/x make`: keyword, flags and the rest, from this line on."""

    keyword: str
    flags: dict[str, str]
    rest: str
    line: int

    def words(self) -> list[str]:
        """The rest, in the JSON form or as words of a shell."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)

    def pairs(self) -> dict[str, str]:
        """Of `ENV` and `ARG`: name and value; the value of one without is empty."""
        return {name: value for name, _, value in (word.partition("=") for word in shlex.split(self.rest))}


class Stage(NamedTuple):
    name: str
    base: str
    instructions: list[Instruction]


def read_instructions(text: str) -> Iterator[Instruction]:
    begun, parts = 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        begun = begun if parts else number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            yield _parse(" ".join(parts), begun)
            parts = []


def read_stages(text: str) -> list[Stage]:
    """With the values of `ARG` before the first stage put into `FROM`."""
    stages: list[Stage] = []
    defaults: dict[str, str] = {}
    for instruction in read_instructions(text):
        if instruction.keyword == "FROM":
            base, _, name = re.sub(r"\s+", " ", instruction.rest).partition(" AS ")
            for key, value in defaults.items():
                base = base.replace(f"${{{key}}}", value)
            stages.append(Stage(name or str(len(stages)), base, []))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            defaults |= instruction.pairs()
    return stages


def _parse(text: str, line: int) -> Instruction:
    keyword, _, rest = text.partition(" ")
    flags = {}
    while found := _FLAG.match(rest):
        flags[found["name"]] = found["value"]
        rest = rest[found.end() :]
    return Instruction(keyword.upper(), flags, rest.strip(), line)
