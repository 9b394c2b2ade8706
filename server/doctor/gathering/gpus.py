"""NVIDIA cards: by the PCI bus, by the driver's library, by nvidia-smi. Absence of all three is no fault."""

import subprocess
from pathlib import Path

from server.doctor.facts import Gpu, GpuProcess, Gpus
from server.nvml import count_gpus, cuda_version

TOOL_TIMEOUT_S = 20.0
OUR_PROGRAM = "engines.runtime"
_PCI = Path("/sys/bus/pci/devices")
_NVIDIA = "0x10de"
_DISPLAY = "0x03"
_MIB = 2**20
_GPU_FIELDS = "index,uuid,name,memory.total,memory.free,driver_version"
_PROCESS_FIELDS = "pid,gpu_uuid,used_memory"


class ToolError(Exception):
    """nvidia-smi did not answer; the message says why."""


def look_at_gpus(tool: str = "nvidia-smi", pci: Path = _PCI, proc: Path = Path("/proc")) -> Gpus:
    num_cards, num_driven = _count_cards(pci), count_gpus()
    if not num_driven and not num_cards:
        return Gpus(num_cards=0, num_driven=0)
    try:
        rows = _ask(tool, "--query-gpu", _GPU_FIELDS)
        processes = _ask(tool, "--query-compute-apps", _PROCESS_FIELDS)
    except ToolError as error:
        return Gpus(num_cards=num_cards, num_driven=num_driven, tool_error=str(error))
    return Gpus(
        num_cards=num_cards,
        num_driven=num_driven,
        cuda_version=cuda_version(),
        driver_version=rows[0][5] if rows else None,
        gpus=tuple(read_gpu(row) for row in rows),
        processes=tuple(read_process(row, proc) for row in processes),
    )


def read_gpu(row: list[str]) -> Gpu:
    """A row of `--query-gpu`. A memory that the card does not tell counts as nothing."""
    return Gpu(int(row[0]), row[1], row[2], _bytes(row[3]), _bytes(row[4]))


def read_process(row: list[str], proc: Path) -> GpuProcess:
    """A row of `--query-compute-apps`. Processes of other containers have no name here."""
    pid = int(row[0])
    command = _command(pid, proc)
    return GpuProcess(pid, row[1], _bytes(row[2]), command, _is_ours(pid, proc))


def _ask(tool: str, query: str, fields: str) -> list[list[str]]:
    command = [tool, f"{query}={fields}", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
    except OSError as error:
        raise ToolError(f"{tool} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{tool} does not answer within {TOOL_TIMEOUT_S:.0f} s") from error
    if result.returncode:
        said = (result.stdout or result.stderr).strip().splitlines()
        raise ToolError(f"{tool}: {said[0] if said else f'status {result.returncode}'}")
    return [[cell.strip() for cell in line.split(",")] for line in result.stdout.splitlines() if line.strip()]


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) * _MIB if mebibytes.isdigit() else 0


def _count_cards(pci: Path) -> int:
    return sum(
        _read(card / "vendor") == _NVIDIA and _read(card / "class").startswith(_DISPLAY)
        for card in (pci.iterdir() if pci.is_dir() else ())
    )


def _is_ours(pid: int, proc: Path) -> bool:
    """Looks at it and at those that it descends from: vLLM computes in a child with a name of its own."""
    while pid > 1:
        if OUR_PROGRAM in _command(pid, proc):
            return True
        words = _read(proc / str(pid) / "stat").rpartition(")")[2].split()
        pid = int(words[1]) if len(words) > 1 else 0
    return False


def _command(pid: int, proc: Path) -> str:
    return _read(proc / str(pid) / "cmdline").replace("\0", " ").strip()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
