"""Which processes of this machine run in a folder of programs. Reads /proc and nothing else."""

from pathlib import Path

PROC = Path("/proc")


def processes_in(folder: Path, proc: Path = PROC) -> list[int]:
    """Those whose interpreter or a library that they have loaded lies in `folder`, of those that we may look at."""
    inside = f"{folder.resolve()}/"
    return sorted(
        int(process.name)
        for process in proc.iterdir()
        if process.name.isdigit() and (_is_started_from(process, inside) or _has_loaded(process, inside))
    )


def _is_started_from(process: Path, inside: str) -> bool:
    """By the path it was called with: the interpreter of a virtual environment is a link out of it."""
    try:
        program = (process / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return False
    return program.startswith("/") and f"{Path(program).parent.resolve()}/".startswith(inside)


def _has_loaded(process: Path, inside: str) -> bool:
    try:
        return inside in (process / "maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
