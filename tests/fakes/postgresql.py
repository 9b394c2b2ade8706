"""A PostgreSQL cluster of our own in a temporary folder, which can be stopped hard and started again."""

import glob
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

BINARIES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
_numbers = itertools.count()


class Cluster:
    """Runs without fsync: it survives `stop`, not a power cut."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "-U", "hearth", "-A", "trust", "--no-sync")
        self.start()

    @classmethod
    def if_installed(cls) -> "Cluster | None":
        return cls() if BINARIES else None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://hearth@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"hearth_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c fsync=off -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: connections are cut and the next start recovers."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = (f"{BINARIES[-1]}/{program}", "-D", str(self.folder / "cluster"), *arguments)
        user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        subprocess.run(command, check=True, user=user, cwd="/", capture_output=True, timeout=60)
