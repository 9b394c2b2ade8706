"""`hearth engines`: makes, shows, chooses and removes the environments that the workers run in."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from server.cli.install_progress import show_progress
from server.cli.terminal import (
    AsJson,
    console,
    fail,
    gibibytes,
    load_settings_or_fail,
    print_json,
    print_table,
)
from server.engine_envs import FLAVOURS, EngineEnvironment, State, Version, VersionError, detect_flavour
from server.engine_envs.commands import run_command
from server.engine_envs.environment import environments
from server.engine_envs.install import InstallError, exclusive, install
from server.engine_envs.running import processes_in

engines_app = typer.Typer(
    help="Install the engines, show and choose what is installed.", no_args_is_help=True
)
VersionName = Annotated[str, typer.Argument(help="Name of the version, as `hearth engines list` shows it.")]


class Installed(msgspec.Struct, frozen=True):
    """A row of `hearth engines list`. `requirements` is their digest; null where the version is broken."""

    version: str
    flavour: str
    requirements: str | None
    state: State
    is_current: bool
    processes: list[int]
    python: str | None
    size_bytes: int
    folder: str


@engines_app.command("install")
def install_engines(
    flavour: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: by the hardware of this machine.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Install anew even if nothing has changed.")] = False,
    wheels: Annotated[
        Path | None,
        typer.Option(
            help="Take packages from this folder only; needs no network.", exists=True, file_okay=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Install the engines if they are missing, broken or outdated. Takes minutes the first time."""
    settings = load_settings_or_fail()
    if settings.engines_python is not None and not force:
        _finish(as_json, f"engines use {settings.engines_python}, nothing to install", installed=False)
        return
    environment = EngineEnvironment(choose_flavour(flavour), settings.engines_dir)
    if not force and (reason := _nothing_to_do(environment)):
        _finish(as_json, reason, installed=False)
        return
    version, took_s = _install(environment, is_silent=as_json, anew=force, wheels=wheels)
    _finish(
        as_json,
        f"engines ({environment.flavour}) installed in {took_s:.0f} s: {version.name}",
        installed=True,
    )


@engines_app.command("list")
def list_engines(as_json: AsJson = False) -> None:
    """Show the versions on this machine and which of them are in use."""
    settings = load_settings_or_fail()
    wanted = detect_flavour()
    found = [(item, version) for item in environments(settings.engines_dir) for version in item.versions()]
    described = [_describe(environment, version) for environment, version in found]
    if as_json:
        print_json(described)
        return
    titles = ("VERSION", "STATE", "CURRENT", "RUNS", "PYTHON", "SIZE", "FOLDER")
    rows = [
        (
            item.version,
            item.state.value,
            "yes" if item.is_current else "no",
            "yes" if item.processes else "no",
            item.python,
            gibibytes(item.size_bytes),
            item.folder,
        )
        for item in described
    ]
    print_table(titles, rows, f"No engines are installed. `hearth engines install` installs them ({wanted}).")
    if settings.engines_python is not None:
        print(f"engines_python is set: every engine runs with {settings.engines_python}")


@engines_app.command("use")
def use_version(name: VersionName, as_json: AsJson = False) -> None:
    """Make a version the current one, until the requirements change. Workers that run keep theirs."""
    environment, version = _find(name)
    _change(environment, lambda: environment.choose(version))
    _finish(as_json, f"engines ({environment.flavour}) use {version.name}", installed=False)


@engines_app.command("remove")
def remove_version(
    name: VersionName,
    force: Annotated[bool, typer.Option("--force", help="Remove it although it is the current one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a version from the disk. One that runs is never removed."""
    environment, version = _find(name)
    _change(environment, lambda: environment.remove(version, force=force))
    _finish(as_json, f"{version.name} is removed", installed=False)


def _nothing_to_do(environment: EngineEnvironment) -> str | None:
    """Why nothing has to be installed. Gives an environment of a release before its place among the versions."""
    state = environment.state()
    if state is State.COMPLETE:
        if not environment.pointer.is_symlink():
            _change(environment, environment.adopt)
        return f"engines ({environment.flavour}) are up to date"
    current = environment.current()
    if state is State.OUTDATED and current is not None and environment.is_chosen():
        return f"engines ({environment.flavour}) stay at {current.name}, as chosen; --force renews them"
    return None


def _install(
    environment: EngineEnvironment, *, is_silent: bool, anew: bool, wheels: Path | None
) -> tuple[Version, float]:
    """The version, and the seconds that it took."""
    shown = console()
    shown.quiet = is_silent
    shown.print(f"Installing the engines ({environment.flavour}); this takes some minutes.")
    begun = time.monotonic()
    try:
        with show_progress(shown) as reporter:
            version = install(environment, run_command, reporter, anew=anew, wheels=wheels)
    except InstallError as error:
        where = [f"the whole output is in {error.log}; its end:"] if error.tail else []
        fail(str(error), *where, *error.tail)
    return version, time.monotonic() - begun


def _find(name: str) -> tuple[EngineEnvironment, Version]:
    found = [
        (item, version)
        for item in environments(load_settings_or_fail().engines_dir)
        for version in item.versions()
    ]
    for environment, version in found:
        if version.name == name:
            return environment, version
    fail(f"there is no version {name}; there are: {', '.join(item.name for _, item in found) or 'none'}")


def _change(environment: EngineEnvironment, change: Callable[[], None]) -> None:
    try:
        with exclusive(environment):
            change()
    except (VersionError, InstallError) as error:
        fail(str(error))


def _describe(environment: EngineEnvironment, version: Version) -> Installed:
    return Installed(
        version=version.name,
        flavour=environment.flavour,
        requirements=version.digest(),
        state=environment.state_of(version),
        is_current=version == environment.current(),
        processes=processes_in(version.folder),
        python=version.python_version(),
        size_bytes=version.size_bytes(),
        folder=str(version.folder),
    )


def choose_flavour(flavour: str) -> str:
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
