"""Estimates of memory from the files of a model, before anything is loaded; reads sizes, never contents."""

from pathlib import Path

WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf"})


def weights_size_bytes(folder: str) -> int:
    """Bytes of all weight files below `folder`, links followed; 0 where there are none."""
    files = (path for path in Path(folder).rglob("*") if path.suffix in WEIGHT_SUFFIXES)
    return sum(path.stat().st_size for path in files if path.is_file())
