"""Settings come from environment and file, and all faults are told at once."""

from pathlib import Path

import pytest

from server.settings import Settings, check_binding
from server.settings_sources import SettingsError, load_settings


def settings_file(folder: Path, text: str) -> str:
    path = folder / "hearth.toml"
    path.write_text(text)
    return str(path)


def test_defaults_need_nothing() -> None:
    settings = load_settings({})

    assert settings.host == "127.0.0.1"
    assert settings.port == 8000
    assert settings.store_url == "sqlite:///.hearth/hearth.db"


def test_command_line_wins_over_environment_over_file(tmp_path: Path) -> None:
    file = settings_file(tmp_path, "port = 1\nmax_headers = 2\nmax_restarts = 3")
    environ = {"HEARTH_SETTINGS_FILE": file, "HEARTH_PORT": "10", "HEARTH_MAX_HEADERS": "20"}

    settings = load_settings(environ, port=100)

    assert (settings.port, settings.max_headers, settings.max_restarts) == (100, 20, 3)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    file = settings_file(tmp_path, 'max_headerz = 5\nlog_level = "loud"')
    environ = {"HEARTH_SETTINGS_FILE": file, "HEARTH_PROT": "9000", "HEARTH_PORT": "a lot"}

    with pytest.raises(SettingsError) as caught:
        load_settings(environ)

    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "HEARTH_PROT: no such setting, did you mean HEARTH_PORT?" in problems
    assert "max_headerz: no such setting, did you mean max_headers?" in problems
    assert "HEARTH_PORT: Input should be a valid integer" in problems
    assert "log_level in the file: Input should be" in problems


@pytest.mark.parametrize("text", ["port = ", "\xff"])
def test_unreadable_file_is_a_problem_not_a_crash(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hearth.toml"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match=r"hearth\.toml"):
        load_settings({"HEARTH_SETTINGS_FILE": str(path)})


def test_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*absent\.toml: FileNotFoundError"):
        load_settings({"HEARTH_SETTINGS_FILE": str(tmp_path / "absent.toml")})


def test_allowed_hosts_are_comma_separated() -> None:
    names = load_settings({"HEARTH_ALLOWED_HOSTS": "llm.example.org, Box.local"}).host_names

    assert names == {"localhost", "127.0.0.1", "[::1]", "llm.example.org", "box.local"}


def test_ipv6_address_is_a_host_name_in_brackets() -> None:
    assert "[fd00::1]" in Settings(host="fd00::1").host_names


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_neither_key_nor_tls(host: str) -> None:
    assert check_binding(Settings(host=host), has_keys=False) == []


def test_other_addresses_need_a_key_and_tls() -> None:
    assert len(check_binding(Settings(host="0.0.0.0"), has_keys=False)) == 2
    assert len(check_binding(Settings(host="0.0.0.0"), has_keys=True)) == 1
    assert check_binding(Settings(host="0.0.0.0", behind_tls_proxy=True), has_keys=True) == []


def test_docs_are_open_on_loopback_only_unless_said() -> None:
    assert Settings().docs_open
    assert not Settings(host="10.0.0.1").docs_open
    assert Settings(host="10.0.0.1", docs_public=True).docs_open


def test_database_password_is_never_shown() -> None:
    settings = Settings(database_url="postgresql://hearth:pa55word@db/hearth?sslpassword=pa55word")

    assert settings.redacted_url == "postgresql://hearth:***@db/hearth"
    assert "pa55word" not in repr(settings) + str(settings)


def test_bad_database_url_is_told_without_its_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, database_url="mysql://hearth:pa55word@db/hearth")

    assert "postgresql://" in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_every_setting_is_described() -> None:
    assert [name for name, found in Settings.model_fields.items() if not found.description] == []


@pytest.mark.parametrize(
    "url", ["example.org/hook", "ftp://example.org", "http://", "https://me:pass@example.org"]
)
def test_bad_webhook_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"HEARTH_WEBHOOK_URL": url})

    assert "HEARTH_WEBHOOK_URL" in str(caught.value)
    assert "pass" not in str(caught.value)
