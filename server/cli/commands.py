"""The whole command line in one list."""

from typing import Annotated

import typer

from server import __version__
from server.cli import models
from server.cli.add import add_model
from server.cli.batch import batch_app
from server.cli.completion import completion
from server.cli.doctor import doctor
from server.cli.engine_bundle import bundle_engines
from server.cli.engines import engines_app
from server.cli.keys import keys_app
from server.cli.logs import logs
from server.cli.pull import pull_model
from server.cli.run import run
from server.cli.serve import serve
from server.cli.verify import verify_models

app = typer.Typer(
    name="hearth",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def hearth(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Private models behind the ScaiGrid and the OpenAI API."""


app.command()(serve)
app.command()(run)
app.command("pull")(pull_model)
app.command("add")(add_model)
app.command("verify")(verify_models)
app.command()(logs)
app.command()(doctor)
app.add_typer(models.models_app, name="models")
app.command()(models.ps)
app.command()(models.load)
app.command()(models.stop)
app.command("unload", hidden=True)(models.stop)
app.command()(models.sleep)
app.command()(models.pin)
app.command()(models.plan)
app.command()(models.devices)
app.add_typer(keys_app, name="keys")
app.add_typer(batch_app, name="batch")
engines_app.command("bundle")(bundle_engines)
app.add_typer(engines_app, name="engines")
app.command()(completion)
