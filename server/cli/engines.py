"""`hearth engines`: makes and shows the environments that the workers run in."""

import os
import time
from typing import Annotated

import typer

from server.cli.terminal import AsJson, console, fail, load_settings_or_fail, print_json, print_table
from server.engine_envs import FLAVOURS, EngineEnvironment, State, detect_flavour
from server.engine_envs.commands import run_command
from server.engine_envs.install import InstallError, install

engines_app = typer.Typer(help="Install the engines and show what is installed.", no_args_is_help=True)
QUIET_PERIOD_S = 10.0


@engines_app.command("install")
def install_engines(
    flavour: Annotated[str, typer.Option(help="cpu, cuda, or auto: by the hardware of this machine.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Install anew even if nothing has changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Install the engines' environment if it is missing, incomplete or outdated. Takes minutes the first time."""
    settings = load_settings_or_fail(os.environ)
    if settings.engines_python is not None and not force:
        _finish(as_json, f"engines use {settings.engines_python}, nothing to install", installed=False)
        return
    environment = EngineEnvironment(_choose(flavour), settings.engines_dir)
    if environment.state() is State.CURRENT and not force:
        _finish(as_json, f"engines ({environment.flavour}) are up to date", installed=False)
        return
    progress = _Progress(is_silent=as_json)
    try:
        install(environment, run_command, progress)
    except InstallError as error:
        fail(f"{error}; the whole output is in {error.log}", *error.tail)
    _finish(as_json, f"engines ({environment.flavour}) installed in {progress.elapsed_s():.0f} s", installed=True)


@engines_app.command("list")
def list_engines(as_json: AsJson = False) -> None:
    """Show the environments of this machine."""
    settings = load_settings_or_fail(os.environ)
    wanted = detect_flavour()
    found = [EngineEnvironment(flavour, settings.engines_dir) for flavour in FLAVOURS]
    if as_json:
        print_json(
            [
                {"flavour": item.flavour, "state": item.state(), "folder": str(item.folder), "fits": item.flavour == wanted}
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


class _Progress:
    """On a terminal a line that moves; elsewhere a line per step, and one every few seconds while a step lasts."""

    def __init__(self, is_silent: bool) -> None:
        self._console = console()
        self._console.quiet = is_silent
        self._started = self._said = time.monotonic()
        self._heading = ""

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def step(self, number: int, total: int, title: str) -> None:
        self._heading = f"[{number}/{total}] {title}"
        self._say(f"{self._heading} ({self.elapsed_s():.0f} s)")

    def line(self, text: str) -> None:
        if text.startswith("WARNING") or time.monotonic() - self._said < QUIET_PERIOD_S:
            return
        self._say(f"      {self.elapsed_s():3.0f} s  {text.strip()[:90]}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._console.print(text)
