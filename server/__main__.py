"""`hearth` and `python -m server`."""

from server.cli.commands import app


def main() -> None:
    app()


if __name__ == "__main__":
    main()
