"""`hearth engines`: makes and shows the environments that the workers run in."""

import time
from typing import Annotated

import typer

from server.cli.install_progress import show_progress
from server.cli.terminal import AsJson, console, fail, load_settings_or_fail, print_json, print_table
from server.engine_envs import FLAVOURS, EngineEnvironment, State, detect_flavour
from server.engine_envs.commands import run_command
from server.engine_envs.install import InstallError, install

engines_app = typer.Typer(help="Install the engines and show what is installed.", no_args_is_help=True)


@engines_app.command("install")
def install_engines(
    flavour: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: by the hardware of this machine.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Install anew even if nothing has changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Install the engines if they are missing, incomplete or outdated. Takes minutes the first time."""
    settings = load_settings_or_fail()
    if settings.engines_python is not None and not force:
        _finish(as_json, f"engines use {settings.engines_python}, nothing to install", installed=False)
        return
    environment = EngineEnvironment(_choose(flavour), settings.engines_dir)
    if environment.state() is State.CURRENT and not force:
        _finish(as_json, f"engines ({environment.flavour}) are up to date", installed=False)
        return
    took_s = _install(environment, is_silent=as_json)
    _finish(as_json, f"engines ({environment.flavour}) installed in {took_s:.0f} s", installed=True)


@engines_app.command("list")
def list_engines(as_json: AsJson = False) -> None:
    """Show the environments of this machine."""
    settings = load_settings_or_fail()
    wanted = detect_flavour()
    found = [EngineEnvironment(flavour, settings.engines_dir) for flavour in FLAVOURS]
    if as_json:
        print_json(
            [
                {
                    "flavour": item.flavour,
                    "state": item.state(),
                    "folder": str(item.folder),
                    "fits": item.flavour == wanted,
                }
                for item in found
            ]
        )
        return
    rows = [
        (item.flavour, item.state().value, "yes" if item.flavour == wanted else "no", str(item.folder))
        for item in found
    ]
    print_table(("FLAVOUR", "STATE", "FITS THIS MACHINE", "FOLDER"), rows, "")
    if settings.engines_python is not None:
        print(f"engines_python is set: every engine runs with {settings.engines_python}")


def _install(environment: EngineEnvironment, *, is_silent: bool) -> float:
    """Seconds that it took."""
    shown = console()
    shown.quiet = is_silent
    shown.print(
        f"Installing the engines ({environment.flavour}) in {environment.folder}; this takes some minutes."
    )
    begun = time.monotonic()
    try:
        with show_progress(shown) as reporter:
            install(environment, run_command, reporter)
    except InstallError as error:
        where = [f"the whole output is in {error.log}; its end:"] if error.tail else []
        fail(str(error), *where, *error.tail)
    return time.monotonic() - begun


def _choose(flavour: str) -> str:
    if flavour == "auto":
        return detect_flavour()
    if flavour not in FLAVOURS:
        fail(f"--flavour {flavour}: must be auto, {' or '.join(FLAVOURS)}")
    return flavour


def _finish(as_json: bool, message: str, *, installed: bool) -> None:
    if as_json:
        print_json({"installed": installed, "message": message})
    else:
        print(message)
