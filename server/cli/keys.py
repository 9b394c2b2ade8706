"""`hearth keys`: works on the store directly, so also while no server runs; a running one notices."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from server.caller import Permission
from server.cli.startup import open_keys
from server.cli.terminal import AsJson, ago, fail, load_settings_or_fail, print_json, print_table
from server.keys import KeyRecord, KeyRing
from server.store import StoreError

keys_app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
DEFAULT_PERMISSIONS = (Permission.MODELS_LIST, Permission.MODELS_USE)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    permissions: Annotated[
        list[Permission], typer.Option("--permission", "-p", help="What it may do; repeat for more.")
    ] = list(DEFAULT_PERMISSIONS),  # noqa: B006  # typer copies it
    admin: Annotated[bool, typer.Option("--admin", help="Give it every permission.")] = False,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Only this model; repeat for more. [default: all]"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 12h, 30d, 8w, or a date such as 2027-01-31.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It cannot be shown again."""
    granted = list(Permission) if admin else permissions
    expires_at = None if expires is None else parse_expiry(expires, datetime.now(UTC))
    with open_ring() as ring:
        made = ring.create(name, granted, models or None, expires_at=expires_at)
    if as_json:
        print_json({"key": made.secret.reveal(), **msgspec.to_builtins(made.record)})
        return
    print(f"\n  {made.secret.reveal()}\n")
    print(f"This is key {made.record.id} ({name}). It is shown only now.")


@keys_app.command("list")
def list_keys(
    include_revoked: Annotated[bool, typer.Option("--all", help="Also revoked keys.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the keys, without their secrets."""
    with open_ring() as ring:
        records = ring.list(include_revoked=include_revoked)
    if as_json:
        print_json(records)
        return
    titles = ("ID", "NAME", "PERMISSIONS", "MODELS", "CREATED", "LAST USED", "STATE")
    print_table(titles, map(_row, records), "There are no keys: make one with `hearth keys create NAME`.")


@keys_app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `hearth keys list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """End a key for good. A running server refuses it within seconds."""
    with open_ring() as ring:
        if not ring.revoke(key_id):
            fail(f"no living key has the id {key_id}: see `hearth keys list --all`")
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        print(f"{key_id} is revoked")


@contextmanager
def open_ring() -> Iterator[KeyRing]:
    settings = load_settings_or_fail()
    try:
        with closing(open_keys(settings)) as ring:
            yield ring
    except StoreError as error:
        fail(str(error), status=error.exit_status)
    except SQLAlchemyError as error:
        fail(f"the store {settings.redacted_url} could not be used: {type(error).__name__}")


def parse_expiry(text: str, now: datetime) -> datetime:
    """A duration from `now`, or an ISO date or time; without a zone it is UTC. Fails for anything else."""
    duration = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if duration:
        return now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--expires {text}: neither a duration such as 30d nor a date such as 2027-01-31")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        fail(f"--expires {text}: is in the past")
    return moment


def _row(record: KeyRecord) -> tuple[str | None, ...]:
    return (
        record.id,
        record.name,
        " ".join(record.permissions),
        "all" if record.models is None else " ".join(record.models),
        f"{record.created_at:%Y-%m-%d}",
        None if record.last_used_at is None else f"{ago(record.last_used_at)} ago",
        _state(record, datetime.now(UTC)),
    )


def _state(record: KeyRecord, now: datetime) -> str:
    if record.revoked_at is not None:
        return "revoked"
    if record.expires_at is None:
        return "active"
    return "expired" if record.expires_at <= now else f"until {record.expires_at:%Y-%m-%d %H:%M}"
