"""`hearth pull`: fetches a model from a hub and writes its file. The only command that speaks to a hub."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from server import __version__
from server.cli import configuring
from server.cli.terminal import AsJson, console, fail, load_settings_or_fail, print_json
from server.cli.transfer_progress import LineProgress, show_bytes
from server.disk import make_folder
from server.settings import Settings
from server.weights.config_file import Origin
from server.weights.hub import Hub
from server.weights.model_lock import ModelLock
from server.weights.patience import Patience
from server.weights.problem import WeightsError
from server.weights.pulling import PullPlan, check_code, check_room, missing_bytes, plan_pull, pull
from server.weights.repository import split_id
from server.weights.sizes import in_words

HUB = "https://huggingface.co"
_NEWEST = "main"
_EXPLAINED_FILES = 3


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed."""

    model: str
    revision: str
    name: str | None
    include: list[str]
    allow: list[str]
    force: bool
    is_agreed: bool
    as_json: bool


def pull_model(
    model: Annotated[str, typer.Argument(help="ORG/NAME or ORG/NAME@REVISION, as the hub calls it.")],
    name: configuring.Name = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder for weights.", show_default="HEARTH_WEIGHTS_DIR", file_okay=False),
    ] = None,
    endpoint: Annotated[str, typer.Option(envvar="HF_ENDPOINT", help="Address of the hub.")] = HUB,
    token: Annotated[
        str | None, typer.Option(envvar="HF_TOKEN", hidden=True, show_default=False)
    ] = None,  # hidden: other users of the machine see what is typed
    token_file: Annotated[
        Path | None, typer.Option(help="File with the hub's token, instead of HF_TOKEN.", dir_okay=False)
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Take only such files of the weights; as often as needed."),
    ] = None,
    allow: configuring.Allow = None,
    force: configuring.Force = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before fetching.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a model at one commit, check every byte, write its model file. Run again, it goes on."""
    settings = load_settings_or_fail(weights_dir=directory)
    with configuring.told_problems():
        model, revision = split_id(model)
        wish = Wish(
            model=model,
            revision=revision or _NEWEST,
            name=name,
            include=include or [],
            allow=allow or [],
            force=force,
            is_agreed=yes,
            as_json=as_json,
        )
        with closing(Hub(endpoint, _read_token(token_file, token), f"hearth/{__version__}")) as hub:
            _pull(hub, settings, wish)


def _pull(hub: Hub, settings: Settings, wish: Wish) -> None:
    """Plan, show, ask, fetch, write. Raises WeightsError."""
    screen = console()
    screen.quiet = wish.as_json
    patience = Patience(LineProgress(screen, ""))
    repository = hub.describe(wish.model, wish.revision, patience)
    weights_dir = _weights_dir(settings)
    plan = plan_pull(hub, repository, weights_dir, wish.include, patience)
    check_code(plan.documents, wish.allow)
    target = configuring.choose_target(settings, wish.model, wish.name, weights=plan.folder, force=wish.force)
    _show(screen, plan)
    check_room(plan, settings.min_free_bytes)
    _ask(wish)
    lock = _fetch(hub, plan, wish, screen)
    address = f"{hub.endpoint}/{wish.model} at commit {repository.commit}"
    origin = Origin(
        title=wish.model,
        source=address,
        licence=plan.licence,
        size_bytes=lock.size_bytes,
        command="hearth pull",
    )
    configuring.write_target(target, plan.folder, plan.detected, lock, origin=origin, allowed=wish.allow)
    if wish.as_json:
        print_json(configuring.summary(target, plan.folder, plan.detected, lock))
    screen.print(configuring.closing_words(target), soft_wrap=True)


def _weights_dir(settings: Settings) -> Path:
    """Raises WeightsError."""
    if settings.weights_dir is not None:
        return settings.weights_dir
    try:
        make_folder(settings.data_dir.absolute())  # for its owner only: keys will lie there
    except OSError as error:
        raise WeightsError(f"cannot make data_dir {settings.data_dir}: {error.strerror}") from error
    return settings.data_dir / "models"


def _fetch(hub: Hub, plan: PullPlan, wish: Wish, screen: Console) -> ModelLock:
    with show_bytes(screen, wish.model) as progress:
        return pull(plan, hub, allowed=wish.allow, progress=progress, patience=Patience(progress))


def _show(screen: Console, plan: PullPlan) -> None:
    """What will be loaded, and how large it is."""
    detected, selection = plan.detected, plan.selection
    size, missing = in_words(selection.size_bytes), in_words(missing_bytes(plan))
    rows = {
        "model": f"{plan.repository.model} at commit {plan.repository.commit}",
        "is": detected.summary,
        "context": f"{detected.context_window} tokens" if detected.context_window else "",
        "licence": plan.licence,
        "files": f"{len(selection.files)} with {size}, {missing} to fetch",
        "left out": _left_out(plan),
        "folder": str(plan.folder),
    }
    for title, text in rows.items():
        if text:
            screen.print(f"{title:9} {text}", soft_wrap=True)
    for note in detected.notes:
        screen.print(f"{'note':9} {note}", soft_wrap=True)


def _left_out(plan: PullPlan) -> str:
    """The number of files and the largest of them."""
    files = sorted(plan.selection.left_out, key=lambda file: -file.size)
    if not files:
        return ""
    names = ", ".join(file.path for file in files[:_EXPLAINED_FILES])
    more = ", ..." if len(files) > _EXPLAINED_FILES else ""
    return f"{len(files)} with {in_words(sum(file.size for file in files))}: {names}{more}"


def _ask(wish: Wish) -> None:
    if wish.is_agreed:
        return
    if wish.as_json or not sys.stdin.isatty():
        raise WeightsError("nobody can be asked here whether to fetch this: give --yes")
    if not typer.confirm("Fetch it?", default=True):
        fail("nothing was fetched")


def _read_token(file: Path | None, given: str | None) -> str | None:
    """The file wins over the variable. Raises WeightsError without its content."""
    if file is None:
        token = (given or "").strip()
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WeightsError(f"cannot read the token in {file}: {type(error).__name__}") from error
        if not token:
            raise WeightsError(f"{file} is empty where a token should be")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise WeightsError("the token is not one: it holds spaces or characters that no token has")
    return token or None
