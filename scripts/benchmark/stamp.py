"""What belongs to every figure: when, which commit, on what machine."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def file_name(date: str) -> str:
    """Of what was measured at `date`, as `now` writes it."""
    return date.translate(str.maketrans(" ", "-", ":")).removesuffix("-UTC")


def commit() -> str:
    shown = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or "unknown"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{len(models)} cores, {processor}, Python {platform.python_version()}"
