"""Suggestions are found by reckoning: each fits, and a little more would not."""

import json
from pathlib import Path

import msgspec
import pytest

from engines.contract.spec import BackendSpec
from engines.contract.types import Modality
from server.forecast.reckoning import reckon
from server.forecast.suggesting import Suggestion, suggest
from server.workers.devices import need_bytes
from server.workers.ledger import PROCESS_BYTES
from tests.fakes.specs import make_spec

MIB = 1024**2
CPU = ("cpu",)


@pytest.fixture
def embedding(tmp_path: Path) -> BackendSpec:
    config = {"dtype": "float32", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2, "vocab_size": 1000}))
    (tmp_path / "model.safetensors").write_bytes(b"x" * MIB)
    spec = make_spec("be_e", engine="st_embed")
    return msgspec.structs.replace(
        spec, weights=str(tmp_path), modality=Modality.EMBEDDING, context_window=8192
    )


def need(spec: BackendSpec) -> int:
    return need_bytes(reckon(spec), CPU)


def by_key(suggestions: list[Suggestion]) -> dict[str, Suggestion]:
    return {suggestion.key: suggestion for suggestion in suggestions}


def test_the_largest_cache_that_fits_is_found(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * MIB)
    spec = make_spec("be_v", engine="vllm_chat", options={"kv_cache_memory_bytes": 900 * MIB})
    spec = msgspec.structs.replace(spec, weights=str(tmp_path))

    found = suggest(spec, CPU, need(spec), {"cpu": PROCESS_BYTES + 300 * MIB})

    assert [(one.key, one.now, one.value) for one in found] == [
        ("options.kv_cache_memory_bytes", 900 * MIB, 288 * MIB)
    ]
    assert found[0].need_bytes == PROCESS_BYTES + 289 * MIB


def test_a_default_that_is_too_much_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * MIB)
    spec = msgspec.structs.replace(make_spec("be_v", engine="vllm_chat"), weights=str(tmp_path))

    found = suggest(spec, CPU, need(spec), {"cpu": PROCESS_BYTES + 100 * MIB})

    assert found[0].key == "options.kv_cache_memory_bytes"
    assert found[0].value == 96 * MIB


def test_what_was_measured_beyond_the_estimate_is_added(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * MIB)
    spec = make_spec("be_v", engine="vllm_chat", options={"kv_cache_memory_bytes": 900 * MIB})
    spec = msgspec.structs.replace(spec, weights=str(tmp_path))

    found = suggest(spec, CPU, need(spec) + 100 * MIB, {"cpu": PROCESS_BYTES + 300 * MIB})

    assert found[0].value == 192 * MIB


def test_another_device_is_suggested_where_it_fits(embedding: BackendSpec) -> None:
    found = suggest(embedding, CPU, need(embedding), {"cpu": 1, "cuda:0": 2**40})

    assert by_key(found)["device"].value == "cuda:0"


def test_every_suggestion_fits(embedding: BackendSpec) -> None:
    budget = need(embedding) - 8 * MIB

    found = suggest(embedding, CPU, need(embedding), {"cpu": budget})

    assert found
    assert all(one.need_bytes <= budget for one in found)


def test_without_weights_nothing_is_suggested() -> None:
    assert suggest(make_spec("be_v", engine="vllm_chat"), CPU, 10, {"cpu": 5}) == []
