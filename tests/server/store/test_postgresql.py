"""The same store and keys on PostgreSQL: a cluster of our own in a temporary folder."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from server.caller import Permission
from server.keys import KeyRing
from server.store import open_store
from server.store.migrations import STEPS

BINARIES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
pytestmark = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL in /usr/lib/postgresql")


def run_as_server_user(*command: str) -> None:
    """PostgreSQL refuses to run as root."""
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    subprocess.run(command, check=True, user=user, cwd="/", capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="hearth-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    cluster, binaries = str(folder / "cluster"), BINARIES[-1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run_as_server_user(f"{binaries}/initdb", "-D", cluster, "-U", "hearth", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses=127.0.0.1"
    log = str(folder / "log")
    run_as_server_user(f"{binaries}/pg_ctl", "-D", cluster, "-w", "-l", log, "-o", options, "start")
    yield f"postgresql://hearth@127.0.0.1:{port}/postgres"
    run_as_server_user(f"{binaries}/pg_ctl", "-D", cluster, "-m", "immediate", "stop")
    shutil.rmtree(folder)


def test_keys_live_in_postgresql(database_url: str) -> None:
    keys = KeyRing(open_store(database_url))
    new = keys.create("one", [Permission.MODELS_USE], ["fake/echo"])
    keys.close()

    elsewhere = KeyRing(open_store(database_url))
    caller = elsewhere.verify(new.secret.reveal())
    (record,) = elsewhere.list()
    assert elsewhere.revoke(new.record.id)
    after = elsewhere.verify(new.secret.reveal())
    elsewhere.close()

    assert caller is not None
    assert caller.models == {"fake/echo"}
    assert record.last_used_at is None
    assert record.created_at.tzinfo is not None
    assert after is None


def test_migrations_are_applied_once(database_url: str) -> None:
    for _ in range(2):
        store = open_store(database_url)
        with store.reading() as connection:
            versions = connection.execute(text("SELECT version FROM schema_version")).scalars().all()
        store.close()

        assert versions == [len(STEPS)]
