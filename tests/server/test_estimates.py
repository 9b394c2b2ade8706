"""Memory before loading: told where an engine reckons and the weights are there, left out where not."""

from pathlib import Path

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec
from server.catalog.estimates import estimate_memory
from tests.fakes.specs import make_spec


def vllm_backend(weights: Path) -> BackendSpec:
    spec = make_spec("be_vllm", engine="vllm_chat", options={"kv_cache_memory_bytes": 50})
    return msgspec.structs.replace(spec, weights=str(weights))


def test_weights_and_cache_are_counted(tmp_path: Path) -> None:
    (tmp_path / "shard").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"x" * 300)
    (tmp_path / "shard/more.safetensors").write_bytes(b"x" * 30)
    (tmp_path / "README.md").write_text("not a weight")

    assert estimate_memory([vllm_backend(tmp_path)]) == {"be_vllm": MemoryEstimate(330, 50)}


def test_backend_without_weights_or_with_an_engine_that_does_not_estimate_is_left_out(tmp_path: Path) -> None:
    assert estimate_memory([vllm_backend(tmp_path / "none"), make_spec("be_fake")]) == {}
