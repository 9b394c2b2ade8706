"""The servers that batches are measured on. Knows no load."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from benchmark import servers
from benchmark.batch_job import URL
from benchmark.client import json_body
from benchmark.servers import Server
from benchmark.workload import MODEL

_PROBE = json_body({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})


def batch_places(places: int) -> int:
    """Of so many places a batch leaves a quarter to others."""
    return places - places // 4


def without_model(folder: Path, *, places: int) -> AbstractContextManager[Server]:
    """On the engine that repeats its prompt at once."""
    (folder / "models/weights").mkdir(parents=True, exist_ok=True)
    (folder / "models/weights/config.json").write_text("{}")
    backend: dict[str, object] = {
        "engine": "tests.fakes.fake_engine",
        "modality": "chat",
        "frontends": [MODEL],
        "weights": "weights",
        "licence": "none",
        "context_window": 4096,
        "preload": True,
        "capabilities": {"tools": False},
        "limits": {"max_concurrency": places},
    }
    return servers.hearth_with(backend, folder, Path(sys.executable), path=URL, probe=_PROBE)


def on_vllm(
    weights: Path, folder: Path, engines_python: Path, *, places: int, cache_bytes: int
) -> AbstractContextManager[Server]:
    """No more places than the engine runs at once, so that requests wait where their class counts."""
    engine = {"max_num_seqs": places, "kv_cache_memory_bytes": cache_bytes}
    backend: dict[str, object] = {
        "engine": "vllm_chat",
        "modality": "chat",
        "frontends": [MODEL],
        "weights": str(weights),
        "licence": "as the model's",
        "context_window": 1024,
        "preload": True,
        "limits": {"max_concurrency": places},
        "options": servers.ENGINE_OPTIONS | engine,
    }
    return servers.hearth_with(backend, folder, engines_python, path=URL, probe=_PROBE)
