"""Runs the commands of an installation as child processes. Knows not what they are for."""

import subprocess
from collections.abc import Callable


def run_command(command: tuple[str, ...], on_line: Callable[[str], None]) -> int:
    """Hands over each line of output as it comes; returns the exit status. Interrupted, it ends it too."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                on_line(line.rstrip())
            return process.wait()
        finally:
            process.terminate()
