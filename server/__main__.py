"""`hearth` and `python -m server`."""

from server.cli.commands import app
from server.cli.completion import PROGRAM, answer_completions


def main() -> None:
    answer_completions()
    app(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
