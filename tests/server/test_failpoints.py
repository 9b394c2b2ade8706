"""Failpoints are armed by name and count, listed completely, and free otherwise."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server import failpoints

ROOT = Path(__file__).resolve().parents[2]
_REACHES = """
from server.failpoints import arm, reach
arm({!r})
for number in range(4):
    print(number, flush=True)
    reach("line.claimed")
"""


def run(armed: str | None) -> tuple[int, list[str]]:
    """Exit status and the reaches that were begun."""
    ended = subprocess.run(
        [sys.executable, "-c", _REACHES.format(armed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout.split()


@pytest.mark.parametrize(
    ("armed", "expected"),
    [
        (None, (0, ["0", "1", "2", "3"])),
        ("", (0, ["0", "1", "2", "3"])),
        ("line.claimed:1:kill", (-signal.SIGKILL, ["0"])),
        ("upload.after_row:1:kill, line.claimed:3:kill", (-signal.SIGKILL, ["0", "1", "2"])),
        ("line.claimed:9:kill", (0, ["0", "1", "2", "3"])),
    ],
)
def test_process_is_killed_at_the_nth_reach(armed: str | None, expected: tuple[int, list[str]]) -> None:
    assert run(armed) == expected


@pytest.mark.parametrize(
    "text",
    [
        "nowhere:1:kill",
        "line.claimed",
        "line.claimed:0:kill",
        "line.claimed:-1:kill",
        "line.claimed:1:stop",
        ":::",
    ],
)
def test_what_cannot_be_armed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"failpoint|must be spelt"):
        failpoints.arm(text)


def test_the_failpoints_are_those_of_the_sources() -> None:
    """A name is spelt where it is reached, or in the table of a draft's steps."""
    named = re.compile(r'"((?:upload|batch|line|render|cancel|expiry|lease|sweep)\.[a-z_]+)"')
    others = ("failpoints.py", "webhooks.py")  # the list itself, and events of the same form
    sources = [path for path in (ROOT / "server").rglob("*.py") if path.name not in others]
    reached = {
        name
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if "log_event(" not in line and "name=" not in line
        for name in named.findall(line)
    }

    assert reached == failpoints.FAILPOINTS
