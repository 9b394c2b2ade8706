"""Keys are made, listed and revoked without a server."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import typer

from server.cli.keys import parse_expiry
from tests.server.cli.conftest import Hearth

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_new_key_is_printed_once_and_listed_without_its_secret(hearth: Hearth) -> None:
    made = hearth("keys", "create", "laptop", "--json")

    key = json.loads(made.stdout)
    listed = hearth("keys", "list")
    assert key["key"].startswith("sgk_")
    assert key["permissions"] == ["models:list", "models:use"]
    assert key["id"] in listed.stdout
    assert key["key"] not in listed.stdout


def test_permissions_models_and_end_are_kept(hearth: Hearth) -> None:
    options = ("-p", "models:use", "--model", "a/b", "--model", "c", "--expires", "30d")

    made = json.loads(hearth("keys", "create", "job", *options, "--json").stdout)

    assert (made["permissions"], made["models"]) == (["models:use"], ["a/b", "c"])
    assert datetime.fromisoformat(made["expires_at"]) > datetime.now(UTC) + timedelta(days=29)


def test_admin_key_has_every_permission(hearth: Hearth) -> None:
    made = json.loads(hearth("keys", "create", "me", "--admin", "--json").stdout)

    assert len(made["permissions"]) == 5


def test_unknown_permission_is_refused_with_the_known_ones(hearth: Hearth) -> None:
    result = hearth("keys", "create", "me", "-p", "models:eat")

    assert result.exit_code == 2
    assert "models:manage" in result.stderr


def test_revoked_key_leaves_the_list(hearth: Hearth) -> None:
    key_id = json.loads(hearth("keys", "create", "old", "--json").stdout)["id"]

    revoked = hearth("keys", "revoke", key_id)

    assert revoked.stdout == f"{key_id} is revoked\n"
    assert key_id not in hearth("keys", "list").stdout
    assert "revoked" in hearth("keys", "list", "--all").stdout


def test_revoking_nothing_fails(hearth: Hearth) -> None:
    result = hearth("keys", "revoke", "apikey_none")

    assert result.exit_code == 1
    assert "no living key has the id apikey_none" in result.stderr


def test_empty_list_says_how_to_make_a_key(hearth: Hearth) -> None:
    assert "hearth keys create NAME" in hearth("keys", "list").stdout
    assert json.loads(hearth("keys", "list", "--json").stdout) == []


def test_wrong_settings_are_told_all_at_once(hearth: Hearth) -> None:
    result = hearth("keys", "list", prot="8001", port="many")

    assert result.exit_code == 1
    assert "HEARTH_PROT: no such setting, did you mean HEARTH_PORT?" in result.stderr
    assert "HEARTH_PORT: " in result.stderr


def test_unusable_store_is_named(hearth: Hearth) -> None:
    result = hearth("keys", "list", data_dir="/dev/null/data")

    assert result.exit_code == 1
    assert "cannot write the store /dev/null/data/hearth.db" in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12h", NOW + timedelta(hours=12)),
        ("8w", NOW + timedelta(weeks=8)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T10:00+02:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_expiry_is_a_duration_or_a_date(text: str, expected: datetime) -> None:
    assert parse_expiry(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "30", "2026-01-30", "-3d"])
def test_other_expiry_is_refused(text: str) -> None:
    with pytest.raises(typer.Exit):
        parse_expiry(text, NOW)
