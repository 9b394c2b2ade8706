"""A mounted disk whose power can be cut. Knows neither servers nor stores."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
_MOUNT_S = 10.0


def missing() -> str | None:
    """Why no such disk can be had here, None if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if importlib.util.find_spec("mfusepy") is None:
        return "the Python package mfusepy is not installed"
    return None


class Disk:
    """Mounted at `folder`. End whoever writes on it before its power is cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._control = folder / ".power_cut"

    def sync(self) -> None:
        """The names at its root."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def cut_power(self, tear_seed: int | None = None) -> None:
        """All that was not synced is lost, or with a seed some of it."""
        self._control.write_text("drop" if tear_seed is None else f"tear {tear_seed}")

    def stop_after(self, num_syncs: int) -> None:
        """Fail every call after so many syncs, until the power is cut."""
        self._control.write_text(f"stop {num_syncs}")

    def go_on(self) -> None:
        """Forget `stop_after`."""
        self._control.write_text("go")

    @property
    def is_stopped(self) -> bool:
        return bool(self.figures()["is_stopped"])

    def figures(self) -> dict[str, int]:
        """`syncs`, `cuts` and `writes` so far, `is_stopped` now."""
        found: dict[str, int] = json.loads(self._control.read_text())
        return found


@contextlib.contextmanager
def mounted(folder: Path, log: Path) -> Iterator[Disk]:
    """An empty disk at `folder`, unmounted in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "proof.unsynced", str(folder)],
            cwd=SCRIPTS,
            stdout=stream,
            stderr=stream,
        )
    try:
        _wait_until_mounted(folder, process, log)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        process.terminate()
        process.wait(timeout=10)


def _wait_until_mounted(folder: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _MOUNT_S
    while not folder.is_mount():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the disk was not mounted: {log.read_text()}")
        time.sleep(0.01)
