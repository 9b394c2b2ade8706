"""What must be right before the server binds, and the key of the first start."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.caller import Permission
from server.cli.startup import Prepared, StartupError, address_of, listen, make_first_key, open_keys, prepare
from server.settings import Settings
from server.store import claim


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    return Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "models", port=0)


@pytest.fixture
def prepared(settings: Settings) -> Iterator[Prepared]:
    made = prepare(settings)
    yield made
    made.keys.close()
    made.claim.close()


def problems(settings: Settings) -> tuple[str, ...]:
    with pytest.raises(StartupError) as caught:
        prepare(settings)
    return caught.value.problems


def test_folder_for_files_that_cannot_be_made_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    told = problems(settings.model_copy(update={"files_dir": tmp_path / "taken"}))

    assert told == (f"cannot make files_dir {tmp_path / 'taken'}: File exists",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_for_files_that_may_not_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    told = problems(settings.model_copy(update={"files_dir": closed}))

    assert told == (f"cannot write to files_dir {closed}",)


def test_first_key_has_every_permission_and_is_made_once(prepared: Prepared) -> None:
    secret = make_first_key(prepared.keys, None)

    assert secret is not None
    caller = prepared.keys.verify(secret)
    assert caller is not None
    assert caller.permissions == frozenset(Permission)
    assert make_first_key(prepared.keys, None) is None


def test_revoking_the_last_key_brings_no_new_first_key(prepared: Prepared) -> None:
    made = prepared.keys.create("only", [Permission.MODELS_USE])
    prepared.keys.revoke(made.record.id)

    assert make_first_key(prepared.keys, None) is None


def test_first_key_goes_into_a_private_file(prepared: Prepared, tmp_path: Path) -> None:
    file = tmp_path / "key"

    returned = make_first_key(prepared.keys, file)

    assert returned is None
    assert file.stat().st_mode & 0o777 == 0o600
    assert prepared.keys.verify(file.read_text().strip()) is not None


def test_key_file_that_exists_is_not_overwritten(prepared: Prepared, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("mine")

    with pytest.raises(StartupError, match="File exists"):
        make_first_key(prepared.keys, file)

    assert (file.read_text(), prepared.keys.list()) == ("mine", [])


def test_all_faults_come_at_once(settings: Settings) -> None:
    (settings.models_dir / "a.yaml").write_text("engine: 1\n")
    exposed = settings.model_copy(update={"host": "0.0.0.0"})

    found = problems(exposed)

    assert sum("a.yaml" in problem for problem in found) == 5
    assert any("no API key exists" in problem for problem in found)
    assert any("HEARTH_BEHIND_TLS_PROXY" in problem for problem in found)


def test_damaged_store_is_one_of_the_faults(settings: Settings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "hearth.db").write_text("no database, but long enough to be read as one" * 100)

    with pytest.raises(StartupError, match="is damaged") as caught:
        prepare(settings)

    assert caught.value.exit_status == 78


def test_second_server_on_the_same_data_is_refused(settings: Settings, prepared: Prepared) -> None:
    assert problems(settings) == (f"another server runs with data_dir {settings.data_dir}",)


def test_second_server_on_the_same_store_is_refused(
    settings: Settings, prepared: Prepared, tmp_path: Path
) -> None:
    """Also where it reaches the file by another name; its own `data_dir` is no excuse."""
    link = tmp_path / "link.db"
    link.symlink_to(settings.data_dir / "hearth.db")
    elsewhere = {"data_dir": tmp_path / "other", "database_url": f"sqlite:///{link}"}

    assert problems(settings.model_copy(update=elsewhere)) == (f"another server uses the store {link}",)


def test_keys_are_made_beside_a_running_server(settings: Settings, prepared: Prepared) -> None:
    with closing(open_keys(settings)) as beside:
        made = beside.create("beside", [Permission.MODELS_USE])

    prepared.keys.refresh()
    assert prepared.keys.verify(made.secret.reveal()) is not None


def test_claim_is_not_inherited_by_workers(settings: Settings) -> None:
    made = prepare(settings)
    with subprocess.Popen(["sleep", "60"]) as child:  # as a worker is started
        made.keys.close()
        made.claim.close()

        again = prepare(settings)

        is_alive = child.poll() is None
        child.kill()
    again.keys.close()
    again.claim.close()
    assert is_alive


def test_store_is_not_migrated_under_a_running_server(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "hearth.db"
    with claim(path):
        problems(settings.model_copy(update={"database_url": f"sqlite:///{path}"}))

    assert not path.exists()


def test_refused_start_leaves_the_data_free(settings: Settings) -> None:
    (settings.models_dir / "a.yaml").write_text("engine: 1\n")
    problems(settings)
    (settings.models_dir / "a.yaml").unlink()

    again = prepare(settings)

    again.keys.close()
    again.claim.close()


def test_taken_port_is_told(settings: Settings) -> None:
    with listen(settings) as listener:
        taken = settings.model_copy(update={"port": listener.getsockname()[1]})

        with pytest.raises(StartupError, match="Address already in use; choose another with --port"):
            listen(taken)


def test_address_is_a_url(settings: Settings) -> None:
    with listen(settings) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
