"""`hearth completion`: the script that makes a shell complete commands and options. Installs nothing."""

import enum
from typing import Annotated

import typer
from typer._completion_classes import (
    completion_init,  # neither has a public name without Typer's own options,
)
from typer._completion_shared import get_completion_script  # which would write into the user's start files

PROGRAM = "hearth"
VARIABLE = "_HEARTH_COMPLETE"


class Shell(enum.StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell; for bash: source <(hearth completion bash)."""
    print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value))


def answer_completions() -> None:
    """From now on the command answers what these scripts ask."""
    completion_init()
