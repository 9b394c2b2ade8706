"""`hearth serve`: checks everything, says where it listens, runs until a signal."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from server import __version__, failpoints
from server.cli import welcome
from server.cli.startup import Prepared, StartupError, address_of, listen, make_first_key, prepare
from server.cli.terminal import fail, load_settings_or_fail
from server.settings import Settings
from server.telemetry import configure_logging


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one. [default: 8000]")] = None,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of the models' YAML files. [default: model_configs]")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for everything that is written. [default: .hearth]")
    ] = None,
    first_key_file: Annotated[
        Path | None, typer.Option(help="Write the key of the first start here instead of printing it.")
    ] = None,
) -> None:
    """Run the server. Ctrl-C lets running requests end; a second one ends at once."""
    from server.cli.run_server import run_server  # the other commands shall not wait for FastAPI

    settings = load_settings_or_fail(host=host, port=port, models_dir=models_dir, data_dir=data_dir)
    _arm(settings)
    try:
        prepared = prepare(settings)
        with prepared.claim, contextlib.closing(prepared.keys), listen(settings) as listener:
            _set_up_logging(settings)
            _greet(settings, prepared, address_of(listener), first_key_file)
            has_started = run_server(settings, prepared, listener, _say)
    except StartupError as error:
        fail(*error.problems, status=error.exit_status)
    if not has_started:
        fail("the server could not start; its log says why")
    _say("Stopped.")


def _arm(settings: Settings) -> None:
    try:
        failpoints.arm(settings.failpoints)
    except ValueError as error:
        fail(f"failpoints: {error}")


def _greet(settings: Settings, prepared: Prepared, address: str, first_key_file: Path | None) -> None:
    backends = list(prepared.catalog.backends.values())
    _say(welcome.heading(address, __version__, docs_open=settings.docs_open))
    secret = make_first_key(prepared.keys, first_key_file)
    if secret is not None:
        _say(welcome.first_key(secret, address, backends))
    elif not prepared.keys.has_usable():
        _say(welcome.no_usable_key())
    _say(welcome.models(backends, settings.models_dir))


def _set_up_logging(settings: Settings) -> None:
    """JSON lines on stderr; on a terminal, where a person reads along, in a file instead."""
    if not sys.stderr.isatty():
        configure_logging(settings.log_level)
        return
    log = settings.data_dir / "logs" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    configure_logging(settings.log_level, log.open("a", encoding="utf-8"))
    _say(f"Log: {log}")


def _say(text: str) -> None:
    """At once, also into a pipe."""
    print(text, flush=True)
