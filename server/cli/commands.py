"""The whole command line in one list."""

import typer

from server.cli import models
from server.cli.engines import engines_app
from server.cli.keys import keys_app
from server.cli.serve import serve

app = typer.Typer(
    name="hearth",
    help="Private models behind the ScaiGrid and the OpenAI API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.add_typer(models.models_app, name="models")
app.command()(models.ps)
app.command()(models.load)
app.command()(models.stop)
app.add_typer(keys_app, name="keys")
app.add_typer(engines_app, name="engines")
