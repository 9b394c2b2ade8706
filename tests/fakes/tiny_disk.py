"""A disk of a few megabytes, where a test may mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tiny_disk(folder: Path, size_mib: int) -> Iterator[Path]:
    """An empty file system of that size; the test is skipped where nobody may mount."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs"]
    try:
        mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
